"""What is tried again, when, and for how long: laws of the policy, under a clock that the tests turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import NEVER, BadAnswer, ConnectionFailed, Misuse, Problem, Retries, TimedOut
from forger.errors import retry_after_of
from forger.retries import AGAIN, Pause, Send, until_answered

REQUEST = httpx.Request("POST", "http://service/generate", headers={"X-Request-Id": "r-1"})


def answer(status: int, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {} if status < 400 else {"content-type": "application/problem+json"}
    document = {"type": "/problems/queue-full", "status": status, "title": "No", "detail": "not now"}
    return httpx.Response(status, headers=kind | named, json=document, request=REQUEST)


@dataclass
class Played:
    """What the policy asked for, and what came of it."""

    pauses: list[float] = field(default_factory=list)
    sends: list[float] = field(default_factory=list)
    refusals: int = 0
    now: float = 0.0
    result: httpx.Response | Exception | None = None


def play(
    outcomes: Iterator[httpx.Response | httpx.HTTPError] | Sequence[httpx.Response | httpx.HTTPError],
    retries: Retries = Retries(),  # noqa: B008 - it cannot be changed
    draw: float = 0.5,
    each_takes_s: float = 0.0,
) -> Played:
    """Play a flow to its end; each attempt takes so long."""
    played, coming = Played(), iter(outcomes)

    def refused() -> None:
        played.refusals += 1

    flow = until_answered(REQUEST, retries, lambda: played.now, refused, lambda: draw)
    step, outcome = next(flow), None
    try:
        while True:
            if isinstance(step, Pause):
                played.pauses.append(step.seconds)
                played.now += step.seconds
                outcome = None
            else:
                assert isinstance(step, Send)
                played.sends.append(step.timeout_s)
                played.now += min(each_takes_s, step.timeout_s)
                outcome = next(coming)
            step = flow.send(outcome)
    except StopIteration as stop:
        played.result = stop.value
    except Exception as error:  # noqa: BLE001 - it is what came of it
        played.result = error
    return played


@pytest.mark.parametrize("status", sorted(AGAIN))
def test_what_may_pass_is_tried_again(status: int) -> None:
    played = play([answer(status), answer(status), answer(200)])
    assert isinstance(played.result, httpx.Response)
    assert len(played.sends) == 3


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout]
)
def test_a_connection_that_fails_is_tried_again(error: type[httpx.TransportError]) -> None:
    assert isinstance(play([error("gone"), answer(200)]).result, httpx.Response)


@given(st.integers(400, 599).filter(lambda status: status not in AGAIN))
def test_what_cannot_help_is_never_tried_again(status: int) -> None:
    played = play([answer(status)])
    assert isinstance(played.result, Problem)
    assert (len(played.sends), played.pauses) == (1, [])


@pytest.mark.parametrize("error", [httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.DecodingError])
def test_a_request_that_cannot_be_sent_is_not_tried_again(error: type[httpx.HTTPError]) -> None:
    played = play([error("no")])
    assert isinstance(played.result, ConnectionFailed)
    assert len(played.sends) == 1


def test_a_redirection_is_told_and_not_followed() -> None:
    played = play([answer(308, location="https://elsewhere/")])
    assert isinstance(played.result, BadAnswer)
    assert "https://elsewhere/" in str(played.result)


@given(
    statuses=st.lists(st.sampled_from([*sorted(AGAIN), 0]), min_size=1, max_size=20),
    asked=st.integers(0, 1000),
    draw=st.floats(0, 1),
    first_s=st.floats(0, 2),
    longest_s=st.floats(0, 20),
    total_s=st.floats(1, 500),
    takes_s=st.floats(0, 30),
)
def test_no_pause_and_no_total_exceeds_its_bounds(
    statuses: list[int],
    asked: int,
    draw: float,
    first_s: float,
    longest_s: float,
    total_s: float,
    takes_s: float,
) -> None:
    """Full jitter lies between 0 and the doubled bound; Retry-After is added, capped; the sum has an end."""
    retries = Retries(attempts=12, total_s=total_s, first_s=first_s, longest_s=longest_s)
    outcomes = [
        httpx.ReadError("gone") if status == 0 else answer(status, retry_after=str(asked))
        for status in statuses
    ]
    played = play([*outcomes, *[answer(200)]], retries, draw, takes_s)
    assert played.now <= total_s + 1e-3 * len(played.sends)
    assert len(played.sends) <= retries.attempts
    assert all(0 < timeout <= min(retries.each_s, total_s) for timeout in played.sends)
    bound = first_s
    for status, pause in zip(statuses, played.pauses, strict=False):
        least = 0 if status == 0 else min(asked, retries.longest_asked_s)
        assert least <= pause <= least + bound
        assert pause == pytest.approx(least + draw * bound)
        bound = min(2 * bound, longest_s)


def test_attempts_end_and_the_services_last_word_is_raised() -> None:
    played = play([answer(429, retry_after="1")] * 3, Retries(attempts=3))
    assert isinstance(played.result, Problem)
    assert played.result.retry_after_s == 1.0
    assert (len(played.sends), len(played.pauses), played.refusals) == (3, 2, 2)


def test_never_sends_once() -> None:
    assert len(play([answer(503)], NEVER).sends) == 1


def test_retry_after_is_honoured_and_capped() -> None:
    played = play([answer(503, retry_after="7"), answer(503, retry_after="9" * 400), answer(200)], draw=0.0)
    assert played.pauses == [7.0, 30.0]


def test_a_pause_that_would_pass_the_end_is_not_begun() -> None:
    """Whoever has ten seconds does not sleep for thirty before it is told that there is no time."""
    played = play([answer(503, retry_after="30")], Retries(total_s=10))
    assert isinstance(played.result, Problem)
    assert (played.pauses, played.now) == ([], 0.0)


def test_one_attempt_that_hangs_leaves_time_for_others() -> None:
    played = play([httpx.ReadTimeout("hangs"), answer(200)], Retries(each_s=5, total_s=60), each_takes_s=1000)
    assert isinstance(played.result, httpx.Response)
    assert played.sends[0] == 5


def test_nothing_but_silence_is_a_timeout_that_names_the_request() -> None:
    played = play([httpx.ConnectTimeout("")] * 8)
    assert isinstance(played.result, TimedOut)
    assert played.result.request_id == "r-1"
    assert isinstance(played.result.__cause__, httpx.ConnectTimeout)
    assert "http://service/generate" in str(played.result)
    assert "8 times" in str(played.result)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("0", 0.0), ("", None), ("-1", None), ("1.5", None), ("soon", None), ("٣", None)],
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    headers = [(b"retry-after", text.encode())]
    assert retry_after_of(httpx.Response(503, headers=headers)) == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=3600), usegmt=True)
    asked = retry_after_of(answer(503, retry_after=later))
    assert asked is not None
    assert 3000 < asked <= 3600
    assert retry_after_of(answer(503, retry_after=past)) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"total_s": 0},
        {"total_s": float("nan")},
        {"each_s": -1},
        {"first_s": -1},
        {"longest_s": -1},
    ],
)
def test_retries_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Misuse, match=next(iter(wrong))):
        Retries(**wrong)  # type: ignore[arg-type]
