"""The BentoML service, and the composition root: the only file that imports bentoml.

BentoML gives the process, its signals, its workers and the bento; what happens between a request and
its image is ours. Every request passes :class:`service.edge.Edge` first, which serves the GET routes
itself and hands ``POST /generate`` on to the BentoML API below.
"""

from __future__ import annotations

import os
from typing import Any

import bentoml
from starlette.requests import Request
from starlette.responses import Response

from service.answering import answer
from service.cors import CrossOrigin
from service.edge import Edge, Site
from service.endpoints import Endpoints
from service.errors import InvalidSettings
from service.repository import check_default_model
from service.routes import GENERATE
from service.runtime import Runtime
from service.settings import Settings, load_settings


def _settings_or_exit() -> Settings:
    """Return the settings; a wrong one ends the process, the supervisor's as much as a worker's."""
    try:
        settings = load_settings(os.environ)
        check_default_model(settings)
    except InvalidSettings as error:
        raise SystemExit(f"forger: {error}") from error
    return settings


class WholeRequest(bentoml.IODescriptor):
    """An input that is the HTTP request itself: our own parsing, limits and errors, not BentoML's."""

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Any:  # noqa: ANN401, ARG003 - BentoML's signature
        """Return the request as the API's argument."""
        return request


# BentoML hands the input over as it is, not field by field, when it is marked so.
WholeRequest.__root_input__ = True  # type: ignore[attr-defined]


class WholeResponse(bentoml.IODescriptor):
    """An output that is a finished HTTP response, which BentoML passes on."""


@bentoml.service(
    # Deadlines are ours; BentoML's must only never come first.
    traffic={"timeout": 3600},
    # Our own metrics and edge replace these, and cost a fraction.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Forger:
    """Draws images from trained generators."""

    def __init__(self) -> None:
        self.runtime = Runtime(SETTINGS)
        self.endpoints = Endpoints(self.runtime)
        self.site = Site(self.endpoints, self.runtime.metrics, CrossOrigin(SETTINGS.cors_origins))

    @bentoml.api(route=GENERATE, input_spec=WholeRequest, output_spec=WholeResponse)
    async def generate(self, request: Request, /) -> Response:
        """Draw images or vectors."""
        return await answer(self.endpoints.generate, request)

    @bentoml.on_shutdown
    async def close(self) -> None:
        """Finish the accepted work."""
        await self.runtime.close()


def _site() -> Site:
    site: Site = bentoml.get_current_service().site
    return site


SETTINGS = _settings_or_exit()
Forger.add_asgi_middleware(Edge, site=_site)
