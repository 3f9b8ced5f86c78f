"""The sample grids of a run as one moving picture: the fixed latent batch through time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from training.storage import whole_file

_MOST_FRAMES = 40
_LARGEST_EDGE = 640
_FRAME_MS = 150
_LAST_FRAME_MS = 2000


def animate(grids: Sequence[Path], target: Path) -> None:
    """Write an endless animated WebP of the pictures, in their order, the last one held for two seconds.

    At most 40 frames, evenly chosen with the first and the last among them, of at most 640 pixels an edge:
    a run of any length leaves a file of some megabytes at most. Where there are no pictures, nothing is
    written. Raises ``NotWritten`` where the disk is full.
    """
    if not grids:
        return
    frames = [_frame(path) for path in _chosen(grids)]
    with whole_file(target) as stream:
        frames[0].save(
            stream,
            format="WEBP",
            save_all=True,
            append_images=frames[1:],
            duration=[_FRAME_MS] * (len(frames) - 1) + [_LAST_FRAME_MS],
            loop=0,
            quality=80,
            method=0,
        )


def _chosen(grids: Sequence[Path]) -> list[Path]:
    count = min(len(grids), _MOST_FRAMES)
    return [grids[position] for position in np.linspace(0, len(grids) - 1, count).round().astype(int)]


def _frame(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        frame = picture.convert("RGBA" if "A" in picture.getbands() else "RGB")
    frame.thumbnail((_LARGEST_EDGE, _LARGEST_EDGE), Image.Resampling.BOX)
    return frame
