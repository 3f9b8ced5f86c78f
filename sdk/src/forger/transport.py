"""How the clients use httpx: connections kept, time bounded, and a transport that both may have."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import httpx

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)
"""As many connections as there are requests at once: what bounds these is elsewhere."""

_CONNECTED_WITHIN_S = 10.0


def timeouts(each_s: float) -> dict[str, float | None]:
    """Return the bounds of a request's steps; a connection that is not there soon is tried again instead."""
    return httpx.Timeout(each_s, connect=min(each_s, _CONNECTED_WITHIN_S)).as_dict()


def read_in_time(response: httpx.Response, end: float, clock: Callable[[], float]) -> httpx.Response:
    """Return a response that is wholly read; raises ``httpx.ReadTimeout`` if it drips beyond ``end``."""
    if response.is_stream_consumed:  # as a transport of a test answers
        return response
    parts = []
    for part in response.iter_raw():
        parts.append(part)
        if clock() > end:
            response.close()
            raise httpx.ReadTimeout("the answer drips", request=response.request)
    return httpx.Response(
        response.status_code, headers=response.headers, content=b"".join(parts), request=response.request
    )


def awaited(transport: httpx.BaseTransport | None) -> httpx.AsyncBaseTransport | None:
    """Return a transport that blocks as one that is awaited."""
    if transport is None or isinstance(transport, httpx.AsyncBaseTransport):
        return transport
    return _InThreads(transport)


class _InThreads(httpx.AsyncBaseTransport):
    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()

        def whole() -> httpx.Response:
            response = self._transport.handle_request(request)
            response.request = request
            return read_in_time(response, math.inf, lambda: 0.0)

        return await asyncio.to_thread(whole)
