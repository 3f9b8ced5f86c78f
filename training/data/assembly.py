"""A source becomes a data set: every image decoded once into one array, with labels and the fixed split."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from training.config import FolderOptions
from training.data.dataset import HELD_OUT_FRACTION, Dataset, split
from training.data.findings import Severity, class_findings, count_findings, counted, require_sound
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
    if not looked:
        raise DataError(f"{source.name} holds no readable image file")
    headers = [header for _, header in looked]
    target = choose_target(headers, options)
    items = [contents.items[position] for position, _ in looked]
    samples = np.empty((len(items), target.height, target.width, target.channels), dtype=np.uint8)

    def decode(position: int, item: Item) -> None:
        with item.open() as image:
            samples[position] = fit(upright(image), target)

    decoded, torn = read_each(items, decode, "decoding")
    _forgive(torn, skip_bad=options.skip_bad)
    if torn:
        kept = [position for position, _ in decoded]
        samples, items = samples[kept], [items[position] for position in kept]
    labels = None
    if contents.class_names is not None:
        labels = np.array([item.label for item in items], dtype=np.int64)
    held_out = split(labels, len(samples), HELD_OUT_FRACTION)
    findings = class_findings(labels, contents.class_names)
    findings += count_findings(len(samples), labels, int(held_out.sum()))
    require_sound(findings, source.name)
    for finding in findings:
        if finding.severity is Severity.WARNING:
            logger.warning("%s", finding.message)
    left_out = len(contents.items) - len(samples)
    return Dataset(
        name=source.name,
        samples=samples,
        labels=labels,
        class_names=contents.class_names,
        held_out=held_out,
        description=f"{counted(len(samples), 'image')} {describe_fit(headers, target)}."
        + (f" {left_out} unreadable left out." if left_out else ""),
    )
