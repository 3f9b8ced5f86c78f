"""The short way from the server to the edge: the one place that knows how BentoML stacks its middleware.

BentoML serves a Starlette application whose ``middleware_stack`` every request passes: tracing (which looks
at each URL to find out that it is excluded), a timer that ends requests after ``traffic.timeout``, error
pages, then our edge, CORS, a context, the router and the API's own wrapper. All of it is switched off, or
done by the edge itself, and costs more than drawing a small image. So when the application starts, the edge
puts itself in front of that stack; whatever is no HTTP request still goes through it.

If a release of BentoML or Starlette is built otherwise, nothing is changed: the edge stays where BentoML
puts it, and requests for drawings go on through the service's APIs.
"""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger("forger.http")


class _Fork:
    """Sends HTTP requests to ``edge``, and all else to ``stack``."""

    def __init__(self, edge: ASGIApp, stack: ASGIApp) -> None:
        self._edge = edge
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._edge if scope["type"] == "http" else self._stack
        await app(scope, receive, send)


def shorten_the_way(application: object, edge: ASGIApp) -> bool:
    """Let ``edge`` answer the application's HTTP requests from now on; tell whether it could be done."""
    stack = getattr(application, "middleware_stack", None)
    if not isinstance(application, Starlette) or not callable(stack):
        logger.warning("BentoML is built otherwise than was known: requests take the long way through it")
        return False
    application.middleware_stack = _Fork(edge, stack)
    return True
