"""Sending a request until it is answered: what is tried again, when, and for how long.

The policy is a generator that asks for things to be done (send this, wait so long) and is told what came of
them. So there is one of it, for the client that blocks and for the one that awaits, and its tests need
neither a network nor a clock.

Source of the pauses: "full jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS, 2015.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass

import httpx

from forger.errors import BadAnswer, ConnectionFailed, Misuse, TimedOut, problem_in, retry_after_of

AGAIN = frozenset({429, 502, 503, 504})
"""The statuses after which the same request may succeed."""


@dataclass(frozen=True)
class Retries:
    """How often and how long a request is tried.

    ``attempts`` is the most of them, ``each_s`` the seconds for one, ``total_s`` for all together, with the
    pauses. A pause is drawn uniformly from 0 to ``first_s``, which doubles each time up to ``longest_s``.
    What the service asks for in ``Retry-After`` is added, at most ``longest_asked_s``.

    Tried again are 429, 502, 503, 504 and connections that fail: nothing else can end otherwise.
    """

    attempts: int = 8
    total_s: float = 120.0
    each_s: float = 60.0
    first_s: float = 0.25
    longest_s: float = 8.0
    longest_asked_s: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise Misuse(f"attempts must be at least 1, not {self.attempts}")
        for name in ("total_s", "each_s"):
            if not getattr(self, name) > 0:
                raise Misuse(f"{name} must be more than 0, not {getattr(self, name)}")
        for name in ("first_s", "longest_s", "longest_asked_s"):
            if not getattr(self, name) >= 0:
                raise Misuse(f"{name} must be at least 0, not {getattr(self, name)}")


NEVER = Retries(attempts=1)
"""Each request is sent once."""

PATIENT = Retries(attempts=10_000, total_s=900.0, longest_s=15.0)
"""What a bulk run has unless it is told otherwise: a quarter of an hour for each of its requests."""


@dataclass(frozen=True)
class Send:
    """Send the request, and wait for the whole of its answer ``timeout_s`` at most."""

    request: httpx.Request
    timeout_s: float


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


Outcome = httpx.Response | httpx.HTTPError | None
Flow = Generator[Send | Pause, Outcome, httpx.Response]


def until_answered(
    request: httpx.Request,
    retries: Retries,
    clock: Callable[[], float],
    refused: Callable[[], None] = lambda: None,
    draw: Callable[[], float] = random.random,
) -> Flow:
    """Ask for the request to be sent until it is answered, and return the answer, of a status below 400.

    ``clock`` tells seconds; ``draw`` a number from 0 to 1; ``refused`` is called after each 429 and 503.
    Raises what the service says (``Problem``), or ``ConnectionFailed`` when there is no answer.
    """
    end = clock() + retries.total_s
    longest_s = retries.first_s
    for attempt in range(1, retries.attempts + 1):
        outcome = yield Send(request, max(0.001, min(retries.each_s, end - clock())))
        assert outcome is not None, "what came of sending is told"
        if isinstance(outcome, httpx.Response) and outcome.status_code < 300:
            return outcome
        if not _may_pass(outcome) or attempt == retries.attempts:
            break
        asked_s = None
        if isinstance(outcome, httpx.Response):
            asked_s = retry_after_of(outcome)
            if outcome.status_code in (429, 503):
                refused()
        pause_s = draw() * longest_s + min(asked_s or 0.0, retries.longest_asked_s)
        longest_s = min(2 * longest_s, retries.longest_s)
        if clock() + pause_s >= end:
            break
        yield Pause(pause_s)
    assert outcome is not None, "there is at least one attempt"
    if isinstance(outcome, httpx.Response):
        raise _led_away(outcome) if outcome.status_code < 400 else problem_in(outcome)
    raise _unanswered(request, outcome, attempt) from outcome


def _may_pass(outcome: httpx.Response | httpx.HTTPError) -> bool:
    """Tell whether the next attempt may end otherwise; a request that cannot be written never will."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in AGAIN
    hopeless = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)
    return isinstance(outcome, httpx.TransportError) and not isinstance(outcome, hopeless)


def _led_away(response: httpx.Response) -> BadAnswer:
    place = response.headers.get("location", "nowhere")
    return BadAnswer(
        f"{response.status_code} from {response.url}: it leads to {place}, which is not followed"
    )


def _unanswered(request: httpx.Request, error: httpx.HTTPError, attempts: int) -> ConnectionFailed:
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    tried = "once" if attempts == 1 else f"{attempts} times"
    failed = kind(f"no answer from {request.url}, tried {tried}: {str(error) or type(error).__name__}")
    failed.request_id = request.headers.get("x-request-id")
    return failed
