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

from forger.errors import ConnectionFailed, TimedOut, problem_in, retry_after_of

AGAIN = frozenset({429, 502, 503, 504})
"""The statuses after which the same request may succeed."""


@dataclass(frozen=True)
class Retries:
    """How often and how long a request is tried.

    ``attempts`` is the most of them, ``total_s`` the seconds for all together, with the pauses. A pause is
    drawn uniformly from 0 to ``first_s``, which doubles each time up to ``longest_s``. What the service asks
    for in ``Retry-After`` is added, at most ``longest_asked_s``.
    """

    attempts: int = 8
    total_s: float = 120.0
    first_s: float = 0.25
    longest_s: float = 8.0
    longest_asked_s: float = 30.0


NEVER = Retries(attempts=1)
"""Each request is sent once."""


@dataclass(frozen=True)
class Send:
    """Send the request, waiting ``timeout_s`` at most for each of its steps."""

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
        outcome = yield Send(request, max(0.001, end - clock()))
        assert outcome is not None, "what came of sending is told"
        is_last = attempt == retries.attempts
        asked_s = None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code < 400:
                return outcome
            if outcome.status_code not in AGAIN or is_last:
                raise problem_in(outcome)
            asked_s = retry_after_of(outcome)
            if outcome.status_code in (429, 503):
                refused()
        elif is_last or not isinstance(outcome, httpx.TransportError):
            raise _unanswered(outcome, attempt) from outcome
        pause_s = draw() * longest_s
        if asked_s is not None:
            pause_s += min(asked_s, retries.longest_asked_s)
        longest_s = min(2 * longest_s, retries.longest_s)
        if clock() + pause_s >= end:
            if isinstance(outcome, httpx.Response):
                raise problem_in(outcome)
            raise _unanswered(outcome, attempt) from outcome
        yield Pause(pause_s)
    raise AssertionError("the last attempt returns or raises")


def _unanswered(error: httpx.HTTPError, attempts: int) -> ConnectionFailed:
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    tried = "once" if attempts == 1 else f"{attempts} times"
    url = error.request.url if error._request is not None else "the service"  # noqa: SLF001 - the property raises
    return kind(f"no answer from {url}, tried {tried}: {str(error) or type(error).__name__}")
