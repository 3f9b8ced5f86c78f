"""Naming latents and doing sums with them: laws of the algebra, and of the text that spells a sum."""

from __future__ import annotations

import base64
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import L, Misuse, Sum
from forger.latents import parse_keyframe, parse_sum

SEEDS = st.integers(0, 2**53 - 1)
NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters='"'), min_size=1, max_size=12
)
LABELS = st.one_of(st.none(), st.integers(0, 10**6), NAMES)
LATENTS = st.builds(
    lambda seed, indices, label: L(seed, indices, class_label=label),
    SEEDS,
    st.lists(SEEDS, min_size=1, max_size=5),
    LABELS,
)
WEIGHTS = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda weight: weight != 0)
SUMS = st.lists(st.tuples(WEIGHTS, LATENTS), min_size=1, max_size=6).map(lambda terms: Sum(tuple(terms)))


@given(SUMS)
def test_a_sum_that_is_spelled_reads_as_itself(total: Sum) -> None:
    assert parse_sum(str(total)) == total


@given(SUMS, SUMS, st.floats(-100, 100, allow_nan=False))
def test_sums_add_and_scale_term_by_term(one: Sum, other: Sum, factor: float) -> None:
    assert (one + other).terms == one.terms + other.terms
    assert (one - other).terms == one.terms + (-other).terms
    assert [weight for weight, _ in (factor * one).terms] == [factor * weight for weight, _ in one.terms]
    assert one * factor == factor * one


def test_the_example_of_the_documents() -> None:
    total = L(42, [0, 3, 7]) - L(9, [1, 2, 4]) + L(5, [0, 1, 2]) / 2
    assert total == parse_sum("42:0,3,7 - 9:1,2,4 + 0.5*5:0,1,2")
    assert total.document()[1] == {"weight": -1.0, "of": [{"seed": 9, "index": index} for index in (1, 2, 4)]}


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("7", L(7) * 1),
        ("-7:2", -L(7, 2)),
        (".5*7 + 2.*8", 0.5 * L(7) + 2 * L(8)),
        ("7@three+8@4", L(7, class_label="three") + L(8, class_label=4)),
        ('7@"two words" - 8@"4"', L(7, class_label="two words") - L(8, class_label="4")),
        ("7:1 , 2", L(7, [1, 2]) * 1),
    ],
)
def test_texts_that_spell_sums(text: str, total: Sum) -> None:
    assert parse_sum(text) == total


@pytest.mark.parametrize(
    "text", ["", " ", "x", "1 2", "1 ++ 2", "1:", "1:a", "1@", "nan*3", "1 - ", "1@one@two", "٣"]
)
def test_texts_that_spell_none_say_where(text: str) -> None:
    with pytest.raises(Misuse, match="sum"):
        parse_sum(text)


@given(st.text(max_size=20))
def test_no_text_ends_otherwise_than_in_a_sum_or_a_misuse(text: str) -> None:
    with suppress(Misuse):
        assert parse_sum(text).terms


@pytest.mark.parametrize("text", ["1+2", "2*1", "-1", "one"])
def test_a_keyframe_is_one_latent(text: str) -> None:
    assert parse_keyframe("7:3@two") == L(7, 3, class_label="two")
    with pytest.raises(Misuse):
        parse_keyframe(text)


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=8))
def test_numbers_travel_as_they_are(numbers: list[float]) -> None:
    """A latent's float32 comes back from its base64 to the last bit; so do rows."""
    rows = np.array([numbers, numbers], np.float32)
    for reference in L(latent=rows).references:
        assert base64.b64decode(reference["latent_b64"]) == rows[0].tobytes()
    assert L(z=numbers).references == [{"z": rows[0].tolist()}]


def test_whole_numbers_may_be_numpys() -> None:
    assert L(np.int64(3), np.arange(2)) == L(3, [0, 1])
    assert L(3, np.int64(1)) == L(3, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        L,
        lambda: L(1, latent=[1.0]),
        lambda: L(1, []),
        lambda: L(1.5),
        lambda: L(1, [0.5]),
        lambda: L(latent=[[[1.0]]]),
        lambda: L(latent=[]),
        lambda: L(latent=["a"]),
        lambda: L(z=3.0),
        lambda: L(1, [0, 1]).keyframe(),
        lambda: str(L(latent=[1.0]) * 1),
        lambda: str(L(1, class_label={"three": 1.0}) * 1),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: object) -> None:
    with pytest.raises(Misuse):
        wrong()  # type: ignore[operator]


def test_latents_tell_what_they_are() -> None:
    assert repr(L(4, 2, class_label="one")) == "L(4, 2, class_label='one')"
    assert repr(L(latent=np.zeros((3, 4)))) == "L(3 latents)"
    assert L(4).labelled("one") == L(4, class_label="one")
