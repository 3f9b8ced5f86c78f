"""Values of a label column or array become class indices and class names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

_LONGEST_NAME = 200
_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d+\.\d*([eE][-+]?\d+)?")


def class_name(text: str, what: str = "label") -> str:
    """Return a class's name in one spelling (NFC); raises ``DataError`` for one no manifest can carry."""
    name = unicodedata.normalize("NFC", text)
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise DataError(
            f"the {what} {name[:40]!r} cannot name a class: 1 to {_LONGEST_NAME} printable letters are needed"
        )
    return name


def index_labels(
    values: Sequence[object], place: Callable[[int], str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return each value's class index, and the classes' names: whole numbers in order, texts by letters.

    ``place`` says where a value stands, for messages. Raises ``DataError`` for values that are missing
    or fractions.
    """
    texts = [_text(value, place(position)) for position, value in enumerate(values)]
    distinct = set(texts)
    fractions = [text for text in distinct if _NUMBER.fullmatch(text)]
    if fractions and all(_INTEGER.fullmatch(text) or _NUMBER.fullmatch(text) for text in distinct):
        first = next(position for position, text in enumerate(texts) if _NUMBER.fullmatch(text))
        raise DataError(
            f"{place(first)}: the label {texts[first]} is a fraction, but labels name classes: write whole "
            "numbers (3 for 3.0) or names"
        )
    if all(_INTEGER.fullmatch(text) for text in distinct):
        names = sorted(distinct, key=lambda text: (int(text), text))
    else:
        names = sorted(distinct)
    index = {name: position for position, name in enumerate(names)}
    return np.array([index[text] for text in texts], dtype=np.int64), tuple(names)


def _text(value: object, place: str) -> str:
    text = "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 - NaN is no label
    if not text:
        raise DataError(f"{place}: there is no label; every image needs one, or none may have one")
    return class_name(text)


def renamed(values: tuple[str, ...], names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the names at the indices that the classes' values are.

    ``where`` says where the names stand, for messages. Raises ``DataError`` for values that are no
    indices into the names, and for names that are the same.
    """
    beyond = [value for value in values if not value.isdecimal() or int(value) >= len(names)]
    if beyond:
        raise DataError(
            f"{where} names {len(names)} classes, and the label {beyond[-1]} is none of 0 to {len(names) - 1}"
        )
    chosen = tuple(class_name(names[int(value)].strip(), f"class of {where}") for value in values)
    if len(set(chosen)) < len(chosen):
        raise DataError(f"{where} gives two classes the same name")
    return chosen
