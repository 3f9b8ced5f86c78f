"""What decoding shows of one image, and what fitting such images to one size will cost."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.data.assembly import describe_fit
from training.data.findings import Finding, counted, note, warning
from training.data.pixels import Header, Target, as_bytes, header_of, share_cropped, upright
from training.data.source import Item

_DARK = 16
"""Deep images whose brightest level is below this byte were likely meant on a shorter scale."""
_MUCH_LOST = 0.1


@dataclass(frozen=True)
class Seen:
    """What decoding showed of one image: its header, a digest of its pixels, and what it holds besides."""

    header: Header
    digest: bytes
    has_transparency: bool
    has_frames: bool
    is_dark: bool


def see(_position: int, item: Item) -> Seen:
    """Decode an item, and tell what is seen."""
    with item.open() as image:
        header = header_of(image)
        frames = bool(getattr(image, "is_animated", False))
        shown = upright(image)
    plain = as_bytes(shown)
    head = f"{plain.mode} {plain.size} {plain.palette.palette if plain.palette else b''!r}"
    return Seen(
        header=header,
        digest=hashlib.sha256(head.encode() + plain.tobytes()).digest(),
        has_transparency=_is_seen_through(shown),
        has_frames=frames,
        is_dark=plain is not shown and 0 < np.asarray(plain).max() < _DARK,
    )


def _is_seen_through(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    return bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def fit_findings(views: Sequence[Seen], target: Target) -> list[Finding]:
    """Say what will be done to the images, and where it costs something."""
    headers = [view.header for view in views]
    sizes = {header.size for header in headers}
    goal = f"{target.height} x {target.width}"
    found = [note(f"images are {describe_fit(headers, target)}")]
    if len(sizes) > 1:
        found.append(note(f"{len(sizes):,} different sizes; --size chooses another than {goal}"))
    lost = max(share_cropped(size, target) for size in sizes)
    if lost > _MUCH_LOST:
        remedy = "--size HEIGHTxWIDTH sets the proportions"
        found.append(warning(f"the crop takes up to {lost:.0%} of an image; {remedy}"))
    small = sum(header.size[0] < target.width or header.size[1] < target.height for header in headers)
    if small:
        found.append(
            warning(f"smaller than {goal}, and enlarged: {counted(small, 'image')}; they will look soft")
        )
    if target.channels == 1 and not all(header.is_grey for header in headers):
        found.append(note("colours are turned to grey"))
    return found + _oddities(views, target)


def _oddities(views: Sequence[Seen], target: Target) -> list[Finding]:
    found = []
    through = sum(view.has_transparency for view in views)
    if through and target.channels != 4:
        found.append(
            note(f"transparent: {counted(through, 'image')}, laid on white; --channels 4 keeps that")
        )
    frames = sum(view.has_frames for view in views)
    if frames:
        found.append(note(f"animated: {counted(frames, 'image')}, of which the first frame is taken"))
    dark = sum(view.is_dark for view in views)
    if dark:
        found.append(
            warning(
                f"almost black: {counted(dark, 'image')} of 16 bits or floats; white is read as 65,535 or 1, "
                "so scale them up first if they hold less"
            )
        )
    return found
