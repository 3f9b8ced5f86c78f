"""The table of routes: every path and method of the API, and what serves it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.answering import Endpoint, answer
from service.http.body import check_media_type
from service.http.endpoints import Endpoints
from service.http.exchange import exchange_in
from service.http.paths import ADMIN, ARITHMETIC, GENERATE, INTERPOLATE

Find = Callable[[Endpoints], Endpoint]


class _Handled:
    """One of the endpoints as an ASGI app; they exist by the time it is called."""

    def __init__(self, endpoints: Callable[[], Endpoints], find: Find) -> None:
        self._endpoints = endpoints
        self._find = find

    @cached_property
    def _endpoint(self) -> Endpoint:
        return self._find(self._endpoints())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer(self._endpoint, Request(scope, receive))
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
        headers = exchange_in(scope).headers
        check_media_type(headers.first(b"content-type") or "", headers.first(b"content-encoding") or "")
        app = self._handled if self._is_direct() else self._app
        await app(scope, receive, send)


def admin_routes(endpoints: Callable[[], Endpoints]) -> list[Route]:
    """Return the operator's routes, which are only where keys are asked for."""

    def of_model(command: str, find: Find) -> Route:
        path = f"{ADMIN}/models/{{name}}/{command}"
        return Route(path, _Handled(endpoints, find), methods=["POST"])

    return [
        Route(f"{ADMIN}/models", _Handled(endpoints, lambda site: site.admin.models), methods=["GET"]),
        Route(f"{ADMIN}/reload", _Handled(endpoints, lambda site: site.admin.reload), methods=["POST"]),
        of_model("load", lambda site: site.admin.load),
        of_model("unload", lambda site: site.admin.unload),
        of_model("pin", lambda site: site.admin.pin),
        of_model("unpin", lambda site: site.admin.unpin),
        of_model("rollback", lambda site: site.admin.rollback),
    ]


def route_table(
    endpoints: Callable[[], Endpoints], app: ASGIApp, is_direct: Callable[[], bool]
) -> list[Route]:
    """Return all routes; ``app`` is BentoML's, which has the POST routes too, unless they are ``direct``."""

    def get(path: str, find: Find) -> Route:
        return Route(path, _Handled(endpoints, find), methods=["GET"])

    def post(path: str, find: Find) -> Route:
        return Route(path, _Posted(app, _Handled(endpoints, find), is_direct), methods=["POST"])

    return [
        post(GENERATE, lambda site: site.drawing.generate),
        post(ARITHMETIC, lambda site: site.drawing.arithmetic),
        post(INTERPOLATE, lambda site: site.drawing.interpolate),
        get("/images/{model}/{seed}/{index}.png", lambda site: site.images.image),
        get("/models", lambda site: site.catalogue.models),
        get("/models/{name}", lambda site: site.catalogue.model),
        get("/models/{name}/preview.png", lambda site: site.images.preview),
        get("/livez", lambda site: site.operation.livez),
        get("/healthz", lambda site: site.operation.livez),
        get("/readyz", lambda site: site.operation.readyz),
        get("/metrics", lambda site: site.operation.metrics),
        get("/", lambda site: site.guide.about),
        get("/openapi.json", lambda site: site.docs.document),
        get("/docs", lambda site: site.docs.page),
        get("/docs/{asset}", lambda site: site.docs.asset),
        get("/problems/{slug}", lambda site: site.guide.problem),
    ]
