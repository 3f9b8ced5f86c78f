"""Cross-origin requests: which headers let a browser's page of another origin use the service."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from service.http.headers import RequestHeaders

ANY_ORIGIN = "*"

_METHODS = "GET, HEAD, POST"
_REQUEST_HEADERS = (
    "Accept, Authorization, Content-Type, If-None-Match, X-Request-Id, X-Timeout-Ms, traceparent, tracestate"
)
_EXPOSED = (
    "X-Request-Id, X-Seed, X-Index, X-Class-Label, X-Class-Indices, X-Model, X-Model-Version, "
    "X-Model-Digest, ETag, Server-Timing, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate"
)


class CrossOrigin:
    """The policy of one setting; with no origins it does nothing."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    @property
    def is_on(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._origins)

    def preflight(self, method: str, headers: RequestHeaders) -> Response | None:
        """Return the answer to a browser's question beforehand, or None if it asks none or may not."""
        asks = method == "OPTIONS" and b"access-control-request-method" in headers
        if not asks or self._allowed(headers.first(b"origin")) is None:
            return None
        allowed = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _REQUEST_HEADERS,
            "Access-Control-Max-Age": "600",
        }
        return Response(status_code=204, headers=allowed)

    def mark(self, origin: str | None, headers: MutableHeaders) -> None:
        """Add to an answer's headers what lets the page of that origin read it."""
        if ANY_ORIGIN not in self._origins:
            headers.add_vary_header("Origin")
        allowed = self._allowed(origin)
        if allowed is not None:
            headers["Access-Control-Allow-Origin"] = allowed
            headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _allowed(self, origin: str | None) -> str | None:
        if origin is None:
            return None
        if ANY_ORIGIN in self._origins:
            return ANY_ORIGIN
        return origin if origin in self._origins else None
