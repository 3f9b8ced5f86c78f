"""The edge: every request passes here first, and every answer last.

Exceptions end here, ids and timings are put on answers, and each exchange is counted: before its last
byte leaves, so that a client that has its answer finds it in the metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.door import Door
from service.errors import MethodNotAllowed, Unavailable, UnknownRoute
from service.http.access_log import AccessLog
from service.http.answering import refuse
from service.http.cors import CrossOrigin
from service.http.endpoints import Endpoints
from service.http.exchange import Exchange, open_exchange
from service.http.gate import Gate, rate_headers
from service.http.headers import RequestHeaders
from service.http.problems import Problem
from service.http.routes import admin_routes, route_table
from service.http.scopes import scope_of
from service.http.shortcut import shorten_the_way
from service.logs import log_writer
from service.metrics import Metrics
from service.runtime import Runtime
from service.settings import Settings
from service.tracing import Tracing

_CLIENT_LEFT = 499

# What is answered while the service stops: whether it lives, and what it has done.
_OPEN_TO_THE_LAST = frozenset({"/livez", "/healthz", "/metrics"})


class Edge:
    """An ASGI middleware in front of ``app``, with its own table of routes."""

    def __init__(self, app: ASGIApp, site: Callable[[], Site]) -> None:
        """Take a way to the site: it is made after the middleware, and before the first request."""
        self._app = app
        self._find_site = site
        self._is_direct = False
        self._open = route_table(lambda: self._site.endpoints, app, lambda: self._is_direct)
        self._of_operators = admin_routes(lambda: self._site.endpoints)
        for route in self._open + self._of_operators:
            scope_of(route.path)  # one that has none in the table must not go unnoticed until it is asked for

    @cached_property
    def _routes(self) -> list[Route]:
        """The routes; an operator's are none, and found by nobody, where no keys are asked for."""
        return self._open + self._of_operators if self._site.has_admin else self._open

    @cached_property
    def _by_path(self) -> dict[str, Route]:
        return {route.path: route for route in self._routes if "{" not in route.path}

    @cached_property
    def _site(self) -> Site:
        return self._find_site()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; everything that is none goes to ``app``."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                self._is_direct = shorten_the_way(scope.get("app"), self)
            await self._app(scope, receive, send)
            return
        site = self._site
        scope = _without_prefix(scope, site.root_path)
        exchange = open_exchange(scope, site.root_path)
        if site.tracing is not None:
            _follow(exchange, site.tracing, scope["method"])
        wire = _Wire(send, exchange, site)
        site.door.inside += 1
        try:
            await self._dispatch(scope, receive, wire, exchange)
        except Exception as error:
            if wire.started:
                raise
            await refuse(error, Request(scope))(scope, receive, wire.send)
        finally:
            site.door.inside -= 1
            wire.finish()

    async def _dispatch(self, scope: Scope, receive: Receive, wire: _Wire, exchange: Exchange) -> None:
        method, site = scope["method"], self._site
        preflight = site.cross_origin.preflight(method, exchange.headers)
        if preflight is not None:
            await preflight(scope, receive, wire.send)
            return
        route = self._route(scope)
        exchange.route = route.path
        if site.door.is_closed and route.path not in _OPEN_TO_THE_LAST:
            raise Unavailable("The service is stopping and takes no more work.")
        if method not in (route.methods or ()):
            raise MethodNotAllowed(method, route.methods or ())
        site.gate.admit(exchange)
        await route.app(scope, receive, wire.send)

    def _route(self, scope: Scope) -> Route:
        """Return the route of the path, whose parameters then stand in the scope; raises ``UnknownRoute``."""
        fixed = self._by_path.get(scope["path"])
        if fixed is not None:
            return fixed
        for route in self._routes:
            match, parameters = route.matches(scope)
            if match is not Match.NONE:
                scope.update(parameters)
                return route
        raise UnknownRoute("There is nothing at this path; GET / says what there is.")


@dataclass(frozen=True)
class Site:
    """What the edge needs of the running service."""

    endpoints: Endpoints
    metrics: Metrics
    door: Door
    cross_origin: CrossOrigin
    gate: Gate
    root_path: str
    has_admin: bool
    access_log: AccessLog | None = None
    tracing: Tracing | None = None

    @classmethod
    def over(cls, runtime: Runtime) -> Site:
        """Return the site that a runtime's settings ask for."""
        settings = runtime.settings
        return cls(
            Endpoints(runtime),
            runtime.metrics,
            runtime.door,
            CrossOrigin(settings.cors_origins),
            Gate(runtime.keyring),
            settings.root_path,
            settings.asks_for_keys,
            _access_log(settings),
            runtime.tracing,
        )

    def refused_at_the_door(self, problem: Problem, request_id: str) -> None:
        """Count, and log, a request that was refused before it was one (``protocol.Notice``)."""
        exchange = Exchange(RequestHeaders(()), request_id, problem_slug=problem.slug)
        self.answered(exchange, problem.status, 0)

    def answered(self, exchange: Exchange, status: int, body_bytes: int) -> None:
        """Count an exchange whose answer is about to be complete, and log it."""
        elapsed_s = exchange.elapsed_s
        self.metrics.request_answered(exchange.route, status, elapsed_s, exchange.problem_slug)
        if self.access_log is not None:
            self.access_log.note(exchange, status, elapsed_s, body_bytes)
        if exchange.journey is not None:
            exchange.journey.answered(exchange.route, status)


def _follow(exchange: Exchange, tracing: Tracing, method: str) -> None:
    """Follow an exchange, if it is to be; its lines in the log then name the trace, too."""
    headers = exchange.headers
    context = {"tracestate": ",".join(headers.all(b"tracestate"))}
    if exchange.trace_id is not None:  # a sound one
        context["traceparent"] = headers.all(b"traceparent")[0]
    trace = tracing.follow(method, exchange.request_id, context, exchange.started)
    if trace is not None:
        exchange.journey, exchange.trace_id = trace, trace.trace_id


def _access_log(settings: Settings) -> AccessLog | None:
    """Return what notes requests, if the process logs at all and requests are to be logged."""
    writer = log_writer()
    return None if writer is None or settings.log_requests == "off" else AccessLog(writer)


def _without_prefix(scope: Scope, root_path: str) -> Scope:
    """Return the scope with the service's own path: some proxies take their prefix off, some do not.

    A target in absolute form (RFC 9112, 3.2.2) is its path: there is but one service here.
    """
    path = scope["path"]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
        scope = {**scope, "path": path, "raw_path": quote(path).encode("ascii")}
    if not root_path or not f"{path}/".startswith(f"{root_path}/"):
        return scope
    own = path.removeprefix(root_path) or "/"
    return {**scope, "path": own, "raw_path": quote(own).encode("ascii")}


class _Wire:
    """One exchange's ``send``, watched."""

    def __init__(self, send: Send, exchange: Exchange, site: Site) -> None:
        self.started = False
        self._site = site
        self._send = send
        self._exchange = exchange
        self._status = _CLIENT_LEFT
        self._counted = False
        self._body_bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            hold_s = self._site.gate.hold_s(self._exchange.problem_slug)
            if hold_s:
                await asyncio.sleep(hold_s)
                self._exchange.started += hold_s  # held on purpose: no time that the service takes
            self._status = message["status"]
            self._mark(message)
        elif message["type"] == "http.response.body":
            self._body_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.finish()
        await self._send(message)

    def finish(self) -> None:
        """Count the exchange, once."""
        if self._counted:
            return
        self._counted = True
        self._site.answered(self._exchange, self._status, self._body_bytes)

    def _mark(self, start: Message) -> None:
        headers: list[tuple[bytes, bytes]] = start["headers"]
        timing = b"total;dur=%.3f" % (self._exchange.elapsed_s * 1000)
        for place, (name, stages) in enumerate(headers):
            if name == b"server-timing":
                headers[place] = (name, stages + b", " + timing)
                break
        else:
            headers.append((b"server-timing", timing))
        headers.append((b"x-request-id", self._exchange.request_id.encode("ascii")))
        if self._site.door.is_closed:
            headers.append((b"connection", b"close"))
        if self._exchange.allowance is not None:
            headers.extend(rate_headers(self._exchange.allowance))
        if self._site.cross_origin.is_on:
            origin = self._exchange.headers.first(b"origin")
            self._site.cross_origin.mark(origin, MutableHeaders(scope=start))
