"""The endpoints: from a request to the use case that serves it, and back to a response."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
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
from service.generation import place_order
from service.http.body import parse_json, read_body
from service.http.model_view import describe_model
from service.http.negotiation import negotiate
from service.http.problems import BY_SLUG, help_page
from service.metrics import MEDIA_TYPE
from service.packaging import Package, package
from service.runtime import Runtime
from service.schemas import parse_generate_request

ReturnT = TypeVar("ReturnT")

_ABOUT = """Forger draws images from trained generators.

  curl -s {origin}/generate -H 'Accept: image/png' -d '{{"seed": 1}}' > image.png

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
        settings = self._runtime.settings
        body = await _read(request, settings.max_body_bytes)
        most_latents = max(settings.max_images, settings.max_vectors)
        wanted = parse_generate_request(parse_json(body), most_latents)
        order = place_order(wanted, self._runtime.repository)
        media_type = negotiate(request.headers.get("accept"), order)

        async def carry_out() -> tuple[Package, str]:
            studio = self._runtime.studio
            drawing = await studio.draw(order, deadline)
            packed = await studio.off_loop(package, drawing, media_type)
            stages = {"queue": drawing.queue_s, "inference": drawing.inference_s, "encode": packed.encode_s}
            return packed, ", ".join(f"{stage};dur={taken * 1000:.3f}" for stage, taken in stages.items())

        packed, stages = await _unless_client_leaves(request, carry_out())
        metrics, model = self._runtime.metrics, order.model
        metrics.encode_seconds.labels(media_type).observe(packed.encode_s)
        metrics.images.labels(model.name, str(model.version)).inc(order.count)
        return Response(
            packed.body,
            headers={**packed.headers, "Server-Timing": stages, "Vary": "Accept"},
            media_type=media_type,
        )

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
        reference = request.path_params["name"]
        version = request.query_params.get("version")
        if version is not None:
            if parse_version(version) is None:
                sentence = "version must be a whole number, 1 or more"
                raise InvalidInput([InputFault("version", sentence, kind="parameter")])
            reference = f"{reference}:{version}"
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
        return Response(_ABOUT.format(origin=f"{request.url.scheme}://{known}"), media_type="text/plain")


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
