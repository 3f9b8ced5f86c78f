"""Buckets: never more than the rate allows in any time, all that it does allow, and waits that are exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.allowance import Allowance, Limits
from service.access.rates import Bucket, Rate
from service.errors import RateLimited

NS = 1_000_000_000

rates = st.builds(
    Rate, st.one_of(st.integers(1, 10), st.integers(1, 10_000)), st.sampled_from([1, 60, 3600, 86_400])
)


@dataclass
class Clock:
    """A clock that goes where it is told."""

    now_ns: int = 0

    def __call__(self) -> int:
        return self.now_ns


def pauses_ns(rate: Rate) -> st.SearchStrategy[int]:
    """Pauses of nothing, of next to nothing, of a few units' time, and of up to several windows."""
    unit = rate.window_s * NS // rate.quota
    few = st.integers(0, 8).map(lambda halves: halves * unit // 2)
    return st.one_of(st.just(0), st.integers(0, 1000), few, st.integers(0, 3 * rate.window_s * NS))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rate, list[tuple[int, int]]]:
    """A rate, and (time in ns, amount) of everything that is asked for."""
    rate = draw(rates)
    steps = st.tuples(pauses_ns(rate), st.integers(1, rate.quota))
    now, history = draw(st.integers(0, 10**15)), []
    for pause, amount in draw(st.lists(steps, min_size=1, max_size=40)):
        now += pause
        history.append((now, amount))
    return rate, history


@given(histories())
def test_in_no_window_of_time_is_more_let_through_than_quota_and_refill(
    asked: tuple[Rate, list[tuple[int, int]]],
) -> None:
    rate, history = asked
    bucket = Bucket(rate)
    taken = [(now, amount) for now, amount in history if bucket.take(amount, now) == 0]
    for place, (begin, _) in enumerate(taken):
        total = 0
        for now, amount in taken[place:]:
            total += amount
            assert total <= rate.quota + Fraction((now - begin) * rate.quota, rate.window_s * NS)


@given(histories())
def test_whatever_the_rate_allows_is_let_through(asked: tuple[Rate, list[tuple[int, int]]]) -> None:
    """The level of a bucket that is kept in exact fractions decides alike, every time."""
    rate, history = asked
    bucket, level, last = Bucket(rate), Fraction(rate.quota), history[0][0]
    for now, amount in history:
        refilled = level + Fraction((now - last) * rate.quota, rate.window_s * NS)
        level, last = min(refilled, Fraction(rate.quota)), now
        fits = amount <= level
        assert (bucket.take(amount, now) == 0) is fits
        level -= amount if fits else 0
        assert bucket.left(now)[0] == level // 1


@given(rates, st.integers(0, 10**15), st.lists(st.integers(0, 10**12), max_size=30))
def test_a_client_that_keeps_the_pace_is_never_refused(rate: Rate, begin: int, dawdling: list[int]) -> None:
    """Not after the whole quota was used at once, either."""
    bucket, now = Bucket(rate), begin
    assert bucket.take(rate.quota, now) == 0
    for late in dawdling:
        now += -(-rate.window_s * NS // rate.quota) + late
        assert bucket.take(1, now) == 0


@given(histories())
def test_who_waits_as_long_as_told_gets_it_and_not_a_nanosecond_before(
    asked: tuple[Rate, list[tuple[int, int]]],
) -> None:
    rate, history = asked
    bucket = Bucket(rate)
    for now, amount in history:
        wait = bucket.take(amount, now)
        if wait:
            assert bucket.take(amount, now + wait - 1) > 0
            assert bucket.take(amount, now + wait) == 0
            return


@given(histories())
def test_there_is_one_more_when_it_is_said_to_be_and_not_before(
    asked: tuple[Rate, list[tuple[int, int]]],
) -> None:
    rate, history = asked
    bucket = Bucket(rate)
    for now, amount in history:
        bucket.take(amount, now)
    left, wait = bucket.left(now)
    assert 0 <= left <= rate.quota
    if wait:
        assert bucket.left(now + wait)[0] == left + 1
        assert bucket.left(now + wait - 1)[0] == left
    else:
        assert left == rate.quota


@given(histories(), st.data())
def test_what_is_given_back_never_lets_more_through_than_was_given_back(
    asked: tuple[Rate, list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Charges that are undone, at once or late, leave no more than if they had never been made."""
    rate, history = asked
    bucket, plain = Bucket(rate), Bucket(rate)
    undone: list[tuple[int, int]] = []
    for now, amount in history:
        for due in [one for one in undone if data.draw(st.booleans())]:
            undone.remove(due)
            bucket.give_back(due[1], due[0], now)
        if data.draw(st.booleans()):
            if bucket.take(amount, now) == 0:
                undone.append((now, amount))
        elif bucket.take(amount, now) == 0:
            assert plain.take(amount, now) == 0
        assert bucket.left(now)[0] <= plain.left(now)[0]


@given(rates, st.integers(0, 10**15), st.data())
def test_what_is_given_back_at_once_is_as_if_it_was_never_taken(
    rate: Rate, now: int, data: st.DataObject
) -> None:
    bucket = Bucket(rate)
    amounts = st.integers(1, rate.quota)
    bucket.take(data.draw(amounts), now)
    before, amount = bucket.left(now), data.draw(amounts)
    if bucket.take(amount, now) == 0:
        bucket.give_back(amount, now, now)
    assert bucket.left(now) == before


def test_what_has_flowed_in_since_is_not_given_back_twice() -> None:
    bucket = Bucket(Rate(10, 1))
    assert bucket.take(5, 0) == 0
    assert bucket.take(5, NS // 4) == 0
    bucket.give_back(5, 0, NS // 4)  # two and a half of the five are back already
    assert bucket.left(NS // 4) == (5, NS // 10)
    bucket.give_back(5, NS // 4, 2 * NS)
    assert bucket.left(2 * NS) == (10, 0)


def test_a_key_is_told_whole_seconds_that_are_enough() -> None:
    clock = Clock(5 * NS)
    allowance = Allowance(Limits(Rate(2, 60), Rate(100, 3600)), clock)
    for _ in range(2):
        allowance.take_request()
    with pytest.raises(RateLimited) as caught:
        allowance.take_request()
    assert caught.value.retry_after_s == 30
    assert str(caught.value) == "The limit of this key is 2/minute (requests); 1 more is possible in 30 s."
    clock.now_ns += 1
    with pytest.raises(RateLimited) as caught:
        allowance.take_request()
    assert caught.value.retry_after_s == 30  # rounded up: 29 would be too few
    clock.now_ns += 30 * NS
    allowance.take_request()


def test_requests_and_images_are_counted_apart() -> None:
    allowance = Allowance(Limits(Rate(3, 60), Rate(100, 3600)), Clock())
    allowance.take_request()
    taken = allowance.take_images(90)
    assert [(one.name, one.left, one.more_in_s) for one in allowance.standing()] == [
        ("requests", 2, 20),
        ("images", 10, 36),
    ]
    with pytest.raises(RateLimited, match=r"100/hour \(images\); 11 more are possible in 36 s"):
        allowance.take_images(11)
    allowance.give_back_images(90, taken)
    assert [one.left for one in allowance.standing()] == [2, 100]


def test_what_has_no_limit_is_never_refused_and_not_told() -> None:
    allowance = Allowance(Limits(images=Rate(1, 1)), Clock())
    for _ in range(1000):
        allowance.take_request()
    assert [one.name for one in allowance.standing()] == ["images"]
    assert Allowance(Limits(Rate(1, 1)), Clock()).most_images is None


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/second", Rate(1, 1)),
        ("600/minute", Rate(600, 60)),
        ("999999999/hour", Rate(999_999_999, 3600)),
        ("5/day", Rate(5, 86_400)),
    ],
)
def test_rates_are_read_as_they_are_written(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert str(rate) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "600",
        "0/minute",
        "-1/minute",
        "1.5/second",
        "1/week",
        "1 /second",
        "1000000000/day",
        "٣/day",
        600,
        None,
    ],
)
def test_what_is_no_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a rate"):
        Rate.parse(text)
