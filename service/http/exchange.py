"""One request and its answer, as far as everything around them is concerned: id, time, route, outcome."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from starlette.requests import Request
from starlette.types import Scope

from service.access.allowance import Allowance
from service.generation.order import Glimpse, Order
from service.http.headers import RequestHeaders
from service.ids import new_id
from service.journey import Journey

OTHER_ROUTE = "other"
"""The route of every path that none of ours matches: labels must be bounded."""

_KEY = "forger.exchange"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, 3.2: version, trace id, parent id, flags; later versions may append more.
_TRACE_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(?P<more>-.*)?"
)


@dataclass
class Exchange:
    """What is known of a request under way."""

    headers: RequestHeaders
    request_id: str
    trace_id: str | None = None
    root_path: str = ""
    route: str = OTHER_ROUTE
    problem_slug: str | None = None
    key_id: str | None = None
    """Whose key the request brought, if it needed one and brought one that is known."""
    allowance: Allowance | None = None
    """What is left to that key, if it has limits."""
    order: Order | Glimpse | None = None
    """What it asks to be drawn, as soon as that is understood, or was seen."""
    stages_s: tuple[float, float, float] | None = None
    """Seconds in the queue, in runs of the model, and encoding, once it is drawn."""
    journey: Journey | None = None
    """Who follows it, where traces are switched on."""
    started: float = field(default_factory=time.perf_counter)

    @property
    def name(self) -> str:
        """What log lines call the request: its id, and that of the trace it belongs to."""
        return self.request_id if self.trace_id is None else f"{self.request_id} (trace {self.trace_id})"

    def asks_for(self, order: Order) -> Order:
        """Note what is to be drawn, and return it: followed, if the request is."""
        self.order = followed = order if self.journey is None else replace(order, journey=self.journey)
        return followed

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self.started


def open_exchange(scope: Scope, root_path: str = "") -> Exchange:
    """Begin the exchange of a request, and leave it in the scope for :func:`exchange_of`.

    ``root_path`` is the prefix under which clients know the service.
    """
    headers = RequestHeaders(scope["headers"])
    given = headers.first(b"x-request-id")
    request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else new_id(16)
    parents = headers.all(b"traceparent")
    trace_id = _trace_id(parents) if parents else None
    scope[_KEY] = exchange = Exchange(headers, request_id, trace_id, root_path)
    return exchange


def _trace_id(parents: Sequence[str]) -> str | None:
    """Return the trace id that a ``traceparent`` header states; one that is not sound is as if absent."""
    parent = _TRACE_PARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if parent is None or (parent["version"] == "00" and parent["more"] is not None):
        return None
    return parent["trace"]


def exchange_in(scope: Scope) -> Exchange:
    """Return the exchange that a scope belongs to."""
    exchange: Exchange = scope[_KEY]
    return exchange


def exchange_of(request: Request) -> Exchange:
    """Return the exchange that a request belongs to."""
    exchange: Exchange = request.scope[_KEY]
    return exchange
