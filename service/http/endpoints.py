"""The endpoints: from a request to the use case that serves it, and back to a response."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.layout import parse_version
from service.errors import (
    ClientLeft,
    DeadlineExceeded,
    InputFault,
    InvalidInput,
    Unavailable,
    UnknownRoute,
)
from service.generation import Drawing, Order, place_order, read_request
from service.http.body import parse_json, read_body
from service.http.exchange import exchange_of
from service.http.model_view import describe_model
from service.http.negotiation import negotiate
from service.http.problems import BY_SLUG, help_page
from service.metrics import MEDIA_TYPE
from service.packaging import Package, package
from service.runtime import Runtime
from service.schemas import GenerateRequest

ReturnT = TypeVar("ReturnT")

# What is read on the event loop itself takes well under a millisecond.
_LIGHT_BODY_BYTES = 32 * 1024
_LIGHT_ROWS = 256

_ABOUT = """Forger draws images from trained generators.

  curl -s {root}/generate -H 'Accept: image/png' -d '{{"seed": 1}}' > image.png

  POST /generate          draw: model, n, seed, index, class_label, truncation, latents, layout
  GET  /models            the models, their classes and limits
  GET  /models/{{name}}     one model
  GET  /livez, /readyz    health
  GET  /metrics           for Prometheus
"""


class Endpoints:
    """Every endpoint, over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def generate(self, request: Request) -> Response:
        """``POST /generate``."""
        deadline = self._deadline(request)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._generate(request, deadline)
        except TimeoutError:
            raise DeadlineExceeded("The deadline passed before the answer was ready.") from None

    async def _generate(self, request: Request, deadline: float) -> Response:
        if self._runtime.draining:
            raise Unavailable("The service is stopping and takes no more work.")
        body = await _read(request, self._runtime.settings.max_body_bytes)
        accept = request.headers.get("accept")
        return await _unless_client_leaves(request, self._carry_out(body, accept, deadline))

    async def _carry_out(self, body: bytes, accept: str | None, deadline: float) -> Response:
        order = await self._understand(body)
        media_type = negotiate(accept, order)
        studio = self._runtime.studio
        drawing = await studio.draw(order, deadline)
        packed = await studio.work_on(order, package, drawing, media_type)
        metrics, model = self._runtime.metrics, order.model
        metrics.encode_seconds.labels(media_type).observe(packed.encode_s)
        metrics.images.labels(model.name, str(model.version)).inc(order.count)
        return Response(
            packed.body,
            headers={**packed.headers, "Server-Timing": _stages(drawing, packed), "Vary": "Accept"},
            media_type=media_type,
        )

    async def _understand(self, body: bytes) -> Order:
        """Return the order in a body. The loop is left to others while a large one is read."""
        repository, studio = self._runtime.repository, self._runtime.studio

        def read() -> GenerateRequest:
            return read_request(parse_json(body), repository)

        light = len(body) <= _LIGHT_BODY_BYTES
        request = read() if light else await studio.off_loop(read)
        if light and (request.n or 1) <= _LIGHT_ROWS:
            return place_order(request, repository)
        return await studio.off_loop(place_order, request, repository)

    def _deadline(self, request: Request) -> float:
        longest = self._runtime.settings.deadline_ms
        given = request.headers.get("x-timeout-ms")
        if given is None:
            milliseconds = longest
        elif re.fullmatch(r"[0-9]{1,9}", given) and 1 <= int(given) <= longest:
            milliseconds = int(given)
        else:
            sentence = f"X-Timeout-Ms must be a whole number of milliseconds from 1 to {longest}"
            raise InvalidInput([InputFault("X-Timeout-Ms", sentence, kind="header")])
        return asyncio.get_running_loop().time() + milliseconds / 1000

    async def models(self, _request: Request) -> Response:
        """``GET /models``: the current version of every model."""
        repository = self._runtime.repository
        current = [repository.resolve(name) for name in repository.names]
        return _json({"data": [describe_model(model, repository) for model in current]})

    async def model(self, request: Request) -> Response:
        """``GET /models/{name}``: the current version, or that of ``?version=``."""
        reference = _reference(request.path_params["name"], request.query_params.getlist("version"))
        repository = self._runtime.repository
        return _json(describe_model(repository.resolve(reference), repository))

    async def livez(self, _request: Request) -> Response:
        """``GET /livez``: the process answers."""
        return _json({"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        """``GET /readyz``: the models are loaded and work is taken."""
        if self._runtime.draining:
            raise Unavailable("The service is stopping and takes no more work.")
        return _json({"status": "ready"})

    async def metrics(self, _request: Request) -> Response:
        """``GET /metrics``."""
        text = await asyncio.to_thread(self._runtime.metrics.render)
        return Response(text, headers={"Content-Type": MEDIA_TYPE})

    async def problem(self, request: Request) -> Response:
        """``GET /problems/{slug}``: a sentence of help."""
        problem = BY_SLUG.get(request.path_params["slug"])
        if problem is None:
            raise UnknownRoute("There is no problem of this name.")
        return Response(help_page(problem), media_type="text/html")

    async def about(self, request: Request) -> Response:
        """``GET /``: what this is, and how to draw a first image."""
        host = request.headers.get("host", "")
        known = host if re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,255}", host) else "localhost:3000"
        root = f"{request.url.scheme}://{known}{exchange_of(request).root_path}"
        return Response(_ABOUT.format(root=root), media_type="text/plain")


def _stages(drawing: Drawing, packed: Package) -> str:
    """Return the value of Server-Timing."""
    stages = {"queue": drawing.queue_s, "inference": drawing.inference_s, "encode": packed.encode_s}
    return ", ".join(f"{stage};dur={taken * 1000:.3f}" for stage, taken in stages.items())


def _reference(name: str, versions: Sequence[str]) -> str:
    """Return the model that a path's ``name`` or ``name:version``, and its query's versions, mean."""
    if not versions:
        return name
    bare, colon, spelled = name.partition(":")
    if len(versions) > 1 or parse_version(versions[0]) is None:
        sentence = "version must be given once, a whole number, 1 or more"
    elif colon and spelled != versions[0]:
        sentence = "version differs from the one in the path; give one of the two"
    else:
        return f"{bare}:{versions[0]}"
    raise InvalidInput([InputFault("version", sentence, kind="parameter")])


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")


async def _read(request: Request, limit: int) -> bytes:
    """Return the request's body; raises ``BodyTooLarge`` or ``ClientLeft``."""
    try:
        return await read_body(request.stream(), request.headers.get("content-length"), limit)
    except ClientDisconnect:
        raise ClientLeft("The client closed the connection before its body was complete.") from None


async def _unless_client_leaves(request: Request, work: Coroutine[Any, Any, ReturnT]) -> ReturnT:
    """Return what the work returns; if the client closes the connection first, cancel it.

    Raises ``ClientLeft``, which nobody reads, and which the metrics count.
    """
    task = asyncio.ensure_future(work)
    departure = asyncio.ensure_future(_departure(request))
    try:
        await asyncio.wait({task, departure}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientLeft("The client closed the connection.")
    finally:
        task.cancel()
        departure.cancel()


async def _departure(request: Request) -> None:
    """Return when the client has closed the connection; its body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
