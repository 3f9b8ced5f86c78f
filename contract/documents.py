"""JSON from a stranger, read within bounds: what it becomes is small, and can be written again by anybody."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MOST_VALUES = 200_000
MOST_DEPTH = 32
_LARGEST = 2**63
# Enough of any number to see that it is too large; Python takes long over millions of digits.
_MOST_DIGITS = 20


def read_document(data: bytes) -> Any:  # noqa: ANN401 - any JSON document
    """Return the JSON document in the bytes.

    Raises ``ValueError`` if it is none, has more than ``MOST_VALUES`` values or is nested deeper than
    ``MOST_DEPTH``, or holds a whole number of more than 64 bits or a number that is none.
    """
    # Counted before it is parsed: a list takes two bytes of text and fifty of memory.
    values = 1 + data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    try:
        document = json.loads(data, parse_int=_integer, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"nested deeper than {MOST_DEPTH} levels") from None
    _check_depth(document)
    return document


def _integer(text: str) -> int:
    number = int(text) if len(text) <= _MOST_DIGITS else _LARGEST
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError("a whole number of more than 64 bits")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_depth(document: object) -> None:
    level = [document]
    for _ in range(MOST_DEPTH):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        if not inner:
            return
        level = inner
    raise ValueError(f"nested deeper than {MOST_DEPTH} levels")
