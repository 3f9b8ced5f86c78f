"""The service inside the test's own process: everything but BentoML, spoken to as over HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.http.answering import answer
from service.http.edge import Edge, Site
from service.http.endpoints import Endpoints
from service.http.routes import ARITHMETIC, GENERATE, INTERPOLATE
from service.runtime import Runtime
from service.settings import load_settings


class _Drawing:
    """What BentoML is otherwise: the app behind the POST routes."""

    def __init__(self, endpoints: Endpoints) -> None:
        drawing = endpoints.drawing
        self._by_path = {
            GENERATE: drawing.generate, ARITHMETIC: drawing.arithmetic, INTERPOLATE: drawing.interpolate,
        }  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer(self._by_path[scope["path"]], Request(scope, receive))
        await response(scope, receive, send)


class LocalService:
    """A runtime behind an edge, on an event loop of its own."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        self.runtime = runtime
        self._loop = loop
        site = Site.over(runtime)
        self.edge = Edge(_Drawing(site.endpoints), lambda: site)

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.edge)
        async with httpx.AsyncClient(transport=transport, base_url="http://forger.test") as client:
            client.headers.pop("accept")
            return await client.request(method, path, **options)

    def run(self, work: Any) -> Any:
        """Run a coroutine on the service's loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.run(self._request(method, path, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def generate(self, body: object = None, **headers: str) -> httpx.Response:
        """POST a JSON body to /generate; keyword arguments are headers, ``accept`` for ``Accept``."""
        return self.post(GENERATE, body, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """POST a JSON body; keyword arguments are headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, json={} if body is None else body, headers=named)


@contextmanager
def local_service(models_dir: Path, **settings: object) -> Iterator[LocalService]:
    """Start a service over a directory of models, with settings as the environment would give them."""
    environ = {f"FORGER_{name.upper()}": str(value) for name, value in settings.items()}
    settings_given = load_settings({"FORGER_MODELS_DIR": str(models_dir), "FORGER_THREADS": "2", **environ})
    runtime = Runtime(settings_given, try_models=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service = LocalService(runtime, loop)
    try:
        yield service
    finally:
        service.run(runtime.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
