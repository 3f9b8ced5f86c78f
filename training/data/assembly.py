"""A source becomes a data set: every image decoded once into one array, with labels and the fixed split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import FolderOptions
from training.data.dataset import HELD_OUT_FRACTION, Dataset, split
from training.data.findings import class_findings, count_findings, counted, require_sound
from training.data.pixels import Header, Target, UnreadableImage, choose_target, fit, header_of, upright
from training.data.reading import read_each
from training.data.source import Item, Source
from training.errors import DataError

logger = logging.getLogger("training.data")

_SHOWN_FAULTS = 3


def read_header(_position: int, item: Item) -> Header:
    """Return an item's header."""
    with item.open() as image:
        return header_of(image)


def _forgive(faults: Sequence[UnreadableImage], *, skip_bad: bool) -> None:
    """Log the images that are left out, or raise ``DataError`` naming them."""
    if not faults:
        return
    if not skip_bad:
        if len(faults) == 1:
            raise faults[0]
        named = "; ".join(f"{fault.title} ({fault.reason})" for fault in faults[:_SHOWN_FAULTS])
        more = f" and {len(faults) - _SHOWN_FAULTS:,} more" if len(faults) > _SHOWN_FAULTS else ""
        raise DataError(
            f"{len(faults):,} images cannot be read: {named}{more}; mend them or pass --skip-bad "
            "(--dry-run lists all)"
        )
    for fault in faults:
        logger.warning("left out: %s (%s)", fault.title, fault.reason)


def describe_fit(headers: Sequence[Header], target: Target) -> str:
    """Say what is done to the images to make them one size."""
    if all(header.size == target.size for header in headers):
        return f"of {target.height} x {target.width}, as they are"
    return f"cropped about the centre and resized to {target.height} x {target.width} (Lanczos)"


@dataclass(frozen=True)
class _Decoded:
    """The samples ``[N, H, W, C]``, and the items and headers that they are of."""

    samples: NDArray[np.uint8]
    items: list[Item]
    headers: list[Header]
    target: Target


def _decode_all(items: Sequence[Item], headers: Sequence[Header], options: FolderOptions) -> _Decoded:
    """Decode at the size that the images agree on; those that turn out torn have no say in it."""
    if not items:
        raise DataError("there is no readable image file")
    target = choose_target(headers, options)
    samples = np.empty((len(items), target.height, target.width, target.channels), dtype=np.uint8)

    def decode(position: int, item: Item) -> None:
        with item.open() as image:
            samples[position] = fit(upright(image), target)

    decoded, torn = read_each(items, decode, "decoding")
    _forgive(torn, skip_bad=options.skip_bad)
    if not torn:
        return _Decoded(samples, list(items), list(headers), target)
    kept = [position for position, _ in decoded]
    left, their_headers = [items[position] for position in kept], [headers[position] for position in kept]
    if not left or choose_target(their_headers, options) != target:
        return _decode_all(left, their_headers, options)
    return _Decoded(samples[kept], left, their_headers, target)


def assemble(source: Source, options: FolderOptions) -> Dataset:
    """Decode all that a source holds into one data set.

    Raises ``DataError`` for what the source cannot give, naming unreadable images (unless ``skip_bad``),
    and for whatever :mod:`training.data.findings` calls an error.
    """
    contents = source.contents()
    for remark in contents.notes:
        logger.info("%s", remark)
    looked, faults = read_each(contents.items, read_header, "looking")
    _forgive(faults, skip_bad=options.skip_bad)
    decoded = _decode_all(
        [contents.items[position] for position, _ in looked], [header for _, header in looked], options
    )
    samples = decoded.samples
    labels = None
    if contents.class_names is not None:
        labels = np.array([item.label for item in decoded.items], dtype=np.int64)
    held_out = split(labels, len(samples), HELD_OUT_FRACTION)
    require_sound(
        class_findings(labels, contents.class_names)
        + count_findings(len(samples), labels, int(held_out.sum())),
        source.name,
    )
    left_out = len(contents.items) - len(samples)
    return Dataset(
        name=source.name,
        samples=samples,
        labels=labels,
        class_names=contents.class_names,
        held_out=held_out,
        description=f"{counted(len(samples), 'image')} {describe_fit(decoded.headers, decoded.target)}."
        + (f" {left_out} unreadable left out." if left_out else ""),
    )
