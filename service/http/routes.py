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


class _LabelledBody:
    """Refuses bodies that are not read as JSON before ``app`` sees them.

    BentoML would answer some labels itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        check_media_type(headers.get("content-type", ""), headers.get("content-encoding", ""))
        await self._app(scope, receive, send)


def route_table(endpoints: Callable[[], Endpoints], drawing: ASGIApp) -> list[Route]:
    """Return all routes; ``drawing`` is the app behind the POST routes."""

    def get(path: str, handler: Handler) -> Route:
        return Route(path, _Handled(endpoints, handler), methods=["GET"])

    return [
        *(
            Route(path, _LabelledBody(drawing), methods=["POST"])
            for path in (GENERATE, ARITHMETIC, INTERPOLATE)
        ),
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
