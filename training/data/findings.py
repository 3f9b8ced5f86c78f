"""What is wrong or worth knowing about a data set, found from counts alone."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

logger = logging.getLogger("training.data")

_FEW_IN_A_CLASS = 10
_FEW_IN_ALL = 200
_SHOWN = 5


class Severity(StrEnum):
    """An error ends training before it begins; a warning does not; a note says what will be done."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One sentence, and how much it matters."""

    severity: Severity
    message: str


def error(message: str) -> Finding:
    """Return a finding that ends training."""
    return Finding(Severity.ERROR, message)


def warning(message: str) -> Finding:
    """Return a finding that costs quality."""
    return Finding(Severity.WARNING, message)


def note(message: str) -> Finding:
    """Return a finding that only tells."""
    return Finding(Severity.NOTE, message)


def some_of(texts: list[str]) -> str:
    """Join the first few texts, and say how many more there are."""
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, noun: str) -> str:
    """Return the count with its noun, in the plural where that is due."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def class_findings(labels: NDArray[np.int64] | None, class_names: tuple[str, ...] | None) -> list[Finding]:
    """Judge the classes and their counts, given the label of every readable image.

    With labels the two go together; without, ``labels`` and ``class_names`` are both None.
    """
    if labels is None or class_names is None:
        return []
    found = []
    counts = np.bincount(labels, minlength=len(class_names))
    if len(class_names) == 1:
        found.append(
            error(
                f"there is a single class, {class_names[0]!r}, so there is nothing to tell apart; leave the "
                "labels out to train without classes"
            )
        )
    for name, count in zip(class_names, counts, strict=True):
        if count == 0:
            found.append(error(f"the class {name!r} holds no readable image; remove it or mend its files"))
    few = [
        f"{name} {count}"
        for name, count in zip(class_names, counts, strict=True)
        if 0 < count < _FEW_IN_A_CLASS
    ]
    if few:
        where = "a class" if len(few) == 1 else f"{len(few):,} classes"
        found.append(
            warning(
                f"fewer than {_FEW_IN_A_CLASS} images in {where} "
                f"({some_of(few)}): it will be drawn badly, or as copies of them"
            )
        )
    found += _alike(class_names)
    return found


def _alike(class_names: tuple[str, ...]) -> list[Finding]:
    if len(set(class_names)) < len(class_names):
        twice = [name for name, count in Counter(class_names).items() if count > 1]
        return [error(f"two classes have the same name: {some_of(twice)}")]
    folded = Counter(name.casefold() for name in class_names)
    alike = [name for name in class_names if folded[name.casefold()] > 1]
    if not alike:
        return []
    return [warning(f"classes differ in nothing but capital letters: {some_of(alike)}")]


def count_findings(count: int, labels: NDArray[np.int64] | None, held_out: int) -> list[Finding]:
    """Judge how many readable images there are, and how many of them can be held out."""
    if count == 0:
        return [error("there is no readable image file")]
    if held_out == 0:
        reason = "there is one image" if labels is None else "no class has two images"
        return [
            error(
                f"too few images to hold any out ({reason}), and without held-out images no figure means "
                "anything: add images, or check that the labels are classes and not numbers of images"
            )
        ]
    if count < _FEW_IN_ALL:
        return [
            warning(f"{counted(count, 'image')} in all: from fewer than {_FEW_IN_ALL}, copies are learned")
        ]
    return []


def require_sound(findings: list[Finding], name: str) -> None:
    """Raise ``DataError`` with the first error among the findings, if there is any; log the warnings."""
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise DataError(f"{name}: {finding.message}")
    for finding in findings:
        if finding.severity is Severity.WARNING:
            logger.warning("%s", finding.message)
