"""How many requests are under way: one more after a round that went well, half after a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import Misuse
from forger.bulk.pace import Pace


@given(st.integers(1, 200), st.lists(st.booleans(), max_size=400))
def test_the_limit_stays_between_one_and_the_most(most: int, went: list[bool]) -> None:
    pace = Pace(most)
    for well in went:
        if well:
            pace.went_well()
        else:
            pace.was_refused(pace.round)
        assert 1 <= pace.limit <= most


def test_a_round_that_went_well_adds_one() -> None:
    """As many answers as there were requests under way make room for one more, not for as many again."""
    pace = Pace(100, first=10)
    for _ in range(11):
        pace.went_well()
    assert pace.limit == 11


def test_a_refusal_halves() -> None:
    pace = Pace(100, first=40)
    pace.was_refused(pace.round)
    assert pace.limit == 20


def test_refusals_of_one_round_count_once() -> None:
    pace = Pace(100, first=40)
    sent_in = pace.round
    for _ in range(10):
        pace.was_refused(sent_in)
    assert pace.limit == 20
    pace.was_refused(pace.round)
    assert pace.limit == 10


@given(st.integers(2, 64), st.integers(1, 1000))
def test_it_settles_around_what_the_service_bears(most: int, bears: int) -> None:
    """Against a service that refuses whatever is beyond ``bears``, the limit ends at half of that or more."""
    pace = Pace(most)
    lows = []
    for turn in range(400):
        if pace.limit > bears:
            pace.was_refused(pace.round)
        else:
            for _ in range(pace.limit):
                pace.went_well()
        if turn > 200:
            lows.append(pace.limit)
    assert min(lows) >= min(most, max(1, bears // 2))


def test_nothing_at_once_is_refused() -> None:
    with pytest.raises(Misuse, match="concurrency"):
        Pace(0)
