"""The gate: who may pass to a route, how often, and how fast those who may not are told so.

Sources: RFC 6750 (bearer tokens), draft-ietf-httpapi-ratelimit-headers-10 (RateLimit, RateLimit-Policy).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from service.access.allowance import Allowance
from service.access.keyring import Holder, Keyring
from service.errors import Forbidden, RateLimited, Unauthorized
from service.http.exchange import Exchange
from service.http.headers import RequestHeaders
from service.http.problems import PROBLEMS
from service.http.scopes import scope_of

# After a few that are prompt, refusals go out one every so often. As a connection waits for its answer before
# it asks again, a flood over forty is down to ten requests a second, of ten thousand: hardly one in a hundred
# of other requests meets a refusal.
_GAP_NS = 100_000_000
_PROMPT = 10
_LONGEST_NS = 4_000_000_000

_HELD = frozenset(PROBLEMS[kind].slug for kind in (Unauthorized, Forbidden, RateLimited))


class Gate:
    """Lets requests pass by their keys; where no keys are asked for, it lets everything pass."""

    def __init__(self, keyring: Keyring, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._keyring = keyring
        self._is_on = keyring.is_on
        self._clock = clock
        self._slot = -_LONGEST_NS

    def admit(self, exchange: Exchange) -> None:
        """Let an exchange whose route is known pass, and note whose it is.

        Raises ``Unauthorized``, ``Forbidden`` or ``RateLimited``: before the body is read.
        """
        if not self._is_on:
            return
        scope = scope_of(exchange.route)
        if scope is None:
            return
        holder = self._holder(exchange.headers)
        exchange.key_id = holder.id
        if scope not in holder.scopes:
            raise Forbidden(scope)
        exchange.allowance = holder.allowance
        if holder.allowance is not None:
            holder.allowance.take_request()

    def _holder(self, headers: RequestHeaders) -> Holder:
        given = headers.all(b"authorization")
        if not given:
            raise Unauthorized("This service asks for a key: send Authorization: Bearer KEY.")
        scheme, _, key = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise Unauthorized("Authorization must be given once, as Bearer KEY.", invalid=True)
        holder = self._keyring.find(key.strip().encode("utf-8"))
        if holder is None:
            raise Unauthorized("The key is not one of this service's.", invalid=True)
        if holder.expires_s <= time.time():
            raise Unauthorized("The key has expired.", invalid=True)
        return holder

    def hold_s(self, problem_slug: str | None) -> float:
        """Return for how many seconds an answer is to be held: for none, unless many are refused."""
        if problem_slug not in _HELD:
            return 0.0
        now = self._clock()
        self._slot = max(self._slot + _GAP_NS, now - _PROMPT * _GAP_NS)
        self._slot = min(self._slot, now + _LONGEST_NS)
        return max(self._slot - now, 0) / 1e9


def rate_headers(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """Return the headers that say what a key may have, and what of it is left."""
    policies, left = [], []
    for one in allowance.standing():
        policies.append(f'"{one.name}";q={one.rate.quota};w={one.rate.window_s}')
        left.append(f'"{one.name}";r={one.left};t={one.more_in_s}')
    return [
        (b"ratelimit-policy", ", ".join(policies).encode("ascii")),
        (b"ratelimit", ", ".join(left).encode("ascii")),
    ]
