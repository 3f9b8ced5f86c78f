"""One request and its answer, as far as everything around them is concerned: id, time, route, outcome."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.types import Scope

OTHER_ROUTE = "other"
"""The route of every path that none of ours matches: labels must be bounded."""

_KEY = "forger.exchange"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass
class Exchange:
    """What is known of a request under way."""

    request_id: str
    route: str = OTHER_ROUTE
    problem_slug: str | None = None
    started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self.started


def open_exchange(scope: Scope) -> Exchange:
    """Begin the exchange of a request, and leave it in the scope for :func:`exchange_of`."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode(
        "latin-1"
    )
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    scope[_KEY] = exchange = Exchange(request_id)
    return exchange


def exchange_of(request: Request) -> Exchange:
    """Return the exchange that a request belongs to."""
    exchange: Exchange = request.scope[_KEY]
    return exchange
