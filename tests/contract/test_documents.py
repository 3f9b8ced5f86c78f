"""JSON of strangers is read within bounds, and what is read can be written again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.documents import MOST_DEPTH, MOST_VALUES, read_document

_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_DOCUMENTS)
def test_what_json_can_hold_is_read_as_it_is(document: object) -> None:
    assert read_document(json.dumps(document).encode()) == document


@pytest.mark.parametrize("digits", [str(2**63), str(-(2**63) - 1), "9" * 30, "1" * 4_000, "1" * 10_000])
def test_a_whole_number_beyond_64_bits_is_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        read_document(f'{{"n": [{digits}]}}'.encode())


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        read_document(f"[{name}]".encode())


def test_depth_has_an_end() -> None:
    def nested(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    assert read_document(nested(MOST_DEPTH - 1))
    for levels in (MOST_DEPTH + 1, 5_000, 90_000):
        with pytest.raises(ValueError, match="nested deeper"):
            read_document(nested(levels))


def test_so_has_number_of_values() -> None:
    assert len(read_document(b"[" + b"1," * (MOST_VALUES - 3) + b"1]")) == MOST_VALUES - 2
    with pytest.raises(ValueError, match="values"):
        read_document(b"[" + b"1," * MOST_VALUES + b"1]")
