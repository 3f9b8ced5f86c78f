"""What a run shows of itself: progress bar, metrics.jsonl, TensorBoard, sample grids."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Self

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.grids import draw_overview
from training.run import RunDirectory
from training.sampling import Sampler


def _drop_later_lines(path: Path, images_seen: int) -> None:
    """Cut the metrics back to what the resumed checkpoint knew of."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["images_seen"] <= images_seen and line.endswith("\n"):
                kept.append(line)
        except (ValueError, KeyError):
            continue  # the torn last line of a killed run
    temporary = path.with_suffix(".partial")
    temporary.write_text("".join(kept), encoding="utf-8")
    temporary.replace(path)


class Monitor:
    """Everything a run shows, opened and closed together; a context manager."""

    def __init__(self, run: RunDirectory, total_images: int, images_seen: int) -> None:
        _drop_later_lines(run.metrics_file, images_seen)
        self._run = run
        self._metrics = run.metrics_file.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run.tensorboard), purge_step=images_seen + 1)
        self._bar = tqdm(
            total=total_images,
            initial=images_seen,
            unit="img",
            unit_scale=True,
            smoothing=0.05,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._board.close()
        self._metrics.close()

    def advance(self, images: int) -> None:
        """Move the bar on."""
        self._bar.update(images)

    def report(self, images_seen: int, means: dict[str, float], **facts: float) -> None:
        """Write the means of what was measured since the last report everywhere."""
        line: dict[str, Any] = {"images_seen": images_seen, **means, **facts}
        self._metrics.write(json.dumps(line, allow_nan=False) + "\n")
        self._metrics.flush()
        for name, value in means.items():
            self._board.add_scalar(name, value, images_seen)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in means.items()}, refresh=False)

    def sample(self, images_seen: int, sampler: Sampler) -> Path:
        """Draw the fixed latent batch and keep the picture."""
        picture = draw_overview(sampler)
        path = self._run.samples / f"{images_seen:012d}.png"
        picture.save(path)
        pixels = np.asarray(picture)
        self._board.add_image("samples", pixels, images_seen, dataformats="HW" if pixels.ndim == 2 else "HWC")
        return path
