"""The table of routes: every path and method of the API, and what serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.answering import answer
from service.http.body import check_media_type
from service.http.endpoints import Endpoints

GENERATE = "/generate"
ARITHMETIC = "/arithmetic"
INTERPOLATE = "/interpolate"

Handler = Callable[[Endpoints, Request], Awaitable[Response]]


class _Handled:
    """A method of the endpoints as an ASGI app; the endpoints exist by the time it is called."""

    def __init__(self, endpoints: Callable[[], Endpoints], handler: Handler) -> None:
        self._endpoints = endpoints
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoints, handler = self._endpoints(), self._handler
        response = await answer(lambda request: handler(endpoints, request), Request(scope, receive))
        await response(scope, receive, send)


class _Posted:
    """A POST route: refuses bodies that are not read as JSON, and hands the others on.

    BentoML would answer some labels itself.
    """

    def __init__(self, app: ASGIApp, handled: _Handled, is_direct: Callable[[], bool]) -> None:
        self._app = app
        self._handled = handled
        self._is_direct = is_direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        check_media_type(headers.get("content-type", ""), headers.get("content-encoding", ""))
        app = self._handled if self._is_direct() else self._app
        await app(scope, receive, send)


def route_table(
    endpoints: Callable[[], Endpoints], app: ASGIApp, is_direct: Callable[[], bool]
) -> list[Route]:
    """Return all routes; ``app`` is BentoML's, which has the POST routes too, unless they are ``direct``."""

    def get(path: str, handler: Handler) -> Route:
        return Route(path, _Handled(endpoints, handler), methods=["GET"])

    def post(path: str, handler: Handler) -> Route:
        return Route(path, _Posted(app, _Handled(endpoints, handler), is_direct), methods=["POST"])

    return [
        post(GENERATE, lambda site, request: site.drawing.generate(request)),
        post(ARITHMETIC, lambda site, request: site.drawing.arithmetic(request)),
        post(INTERPOLATE, lambda site, request: site.drawing.interpolate(request)),
        get("/images/{model}/{seed}/{index}.png", lambda site, request: site.images.image(request)),
        get("/models", lambda site, request: site.catalogue.models(request)),
        get("/models/{name}", lambda site, request: site.catalogue.model(request)),
        get("/models/{name}/preview.png", lambda site, request: site.images.preview(request)),
        get("/livez", lambda site, request: site.operation.livez(request)),
        get("/healthz", lambda site, request: site.operation.livez(request)),
        get("/readyz", lambda site, request: site.operation.readyz(request)),
        get("/metrics", lambda site, request: site.operation.metrics(request)),
        get("/", lambda site, request: site.guide.about(request)),
        get("/openapi.json", lambda site, request: site.docs.document(request)),
        get("/docs", lambda site, request: site.docs.page(request)),
        get("/docs/{asset}", lambda site, request: site.docs.asset(request)),
        get("/problems/{slug}", lambda site, request: site.guide.problem(request)),
    ]
