"""For who runs the service: health and metrics."""

from __future__ import annotations

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.metrics import MEDIA_TYPE
from service.runtime import Runtime


class OperationEndpoints:
    """Whether the service lives, whether it takes work, and what it has done."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def livez(self, _request: Request) -> Response:
        """``GET /livez``: the process answers."""
        return _status("alive")

    async def readyz(self, _request: Request) -> Response:
        """``GET /readyz``: the models are loaded and work is taken. At a closed door the edge refuses it."""
        return _status("ready")

    async def metrics(self, _request: Request) -> Response:
        """``GET /metrics``."""
        text = await asyncio.to_thread(self._runtime.metrics.render)
        return Response(text, headers={"Content-Type": MEDIA_TYPE})


def _status(word: str) -> Response:
    return Response(orjson.dumps({"status": word}), media_type="application/json")
