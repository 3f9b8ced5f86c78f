"""The BentoML service, and the composition root: the only file that imports bentoml.

BentoML gives the process, its signals, its workers and the bento; what happens between a request and
its image is ours. Every request passes :class:`service.http.edge.Edge` first, which serves all routes itself;
where BentoML's middleware cannot be passed by, it hands the POST routes on to the BentoML APIs below.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import bentoml
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from service.logs import configure_logging, flush_logs
from service.preflight import check_or_exit, settings_or_exit

# First of all: a wrong setting stops the start before anything heavy is imported.
SETTINGS = settings_or_exit(os.environ)
configure_logging(SETTINGS)

from service.http.paths import ARITHMETIC, GENERATE, INTERPOLATE
from service.models.decisions import share_with_workers
from service.supervision import end_if_a_worker_cannot_start, give_up

if TYPE_CHECKING:
    from service.http.edge import Edge, Site

# ruff: noqa: PLC0415
# What only a worker needs is imported where one uses it: the supervisor imports this module as well, before
# it starts any, and everybody would wait for it.


class WholeRequest(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML exports it untyped
    """An input that is the HTTP request itself: our own parsing, limits and errors, not BentoML's."""

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Any:  # noqa: ANN401, ARG003 - BentoML's signature
        """Return the request as the API's argument."""
        return request


# BentoML hands the input over as it is, not field by field, when it is marked so.
WholeRequest.__root_input__ = True


class WholeResponse(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML exports it untyped
    """An output that is a finished HTTP response, which BentoML passes on."""


@bentoml.service(
    # Deadlines are ours, and BentoML's must never come first. It keeps a timer of this length for every
    # request, even one long answered, so that it must not be much longer either.
    traffic={"timeout": SETTINGS.deadline_ms / 1000 + 30},
    # Our own metrics and edge replace these, and cost a fraction.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Forger:
    """Draws images from trained generators."""

    def __init__(self) -> None:
        from service.http.edge import Site
        from service.runtime import Runtime

        try:
            self.runtime = Runtime(SETTINGS)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is nothing to serve
            give_up(error)
        self.site = Site.over(self.runtime)
        # What is there now stays: the collector need not walk over it again, nor come by after each request.
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self.drawing = self.site.endpoints.drawing

    @bentoml.api(route=GENERATE, input_spec=WholeRequest, output_spec=WholeResponse)  # type: ignore[untyped-decorator]
    async def generate(self, request: Request, /) -> Response:
        """Draw images or vectors."""
        return await _answer(self.drawing.generate, request)

    @bentoml.api(route=ARITHMETIC, input_spec=WholeRequest, output_spec=WholeResponse)  # type: ignore[untyped-decorator]
    async def arithmetic(self, request: Request, /) -> Response:
        """Draw a weighted sum of latents."""
        return await _answer(self.drawing.arithmetic, request)

    @bentoml.api(route=INTERPOLATE, input_spec=WholeRequest, output_spec=WholeResponse)  # type: ignore[untyped-decorator]
    async def interpolate(self, request: Request, /) -> Response:
        """Draw a path through keyframes."""
        return await _answer(self.drawing.interpolate, request)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def supervise() -> None:
        """Check what can be checked without a worker; BentoML calls this once, in the supervisor.

        Not when the service is imported: a bento is built with no models, for a directory mounted later.
        """
        check_or_exit(SETTINGS)
        share_with_workers(SETTINGS.state_file)
        end_if_a_worker_cannot_start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Finish the accepted work."""
        await self.runtime.close()
        # The server ends itself with a signal, after which nothing else is run.
        flush_logs()


async def _answer(endpoint: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    from service.http.answering import answer

    return await answer(endpoint, request)


def running() -> Forger:
    """Return the service of this process, once its application has started."""
    service: Forger = bentoml.get_current_service()
    return service


def _edge(app: ASGIApp, site: Callable[[], Site]) -> Edge:
    from service.http.edge import Edge

    return Edge(app, site)


def _site() -> Site:
    return running().site


Forger.add_asgi_middleware(_edge, site=_site)  # type: ignore[attr-defined]  # the decorator made it a Service
