"""The POST endpoints: read a body, negotiate the answer, draw, and hand it over whole or as it comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from service.errors import InputFault, InvalidInput
from service.generation.arithmetic import place_arithmetic, read_arithmetic
from service.generation.interpolation import place_interpolate, read_interpolate
from service.generation.order import Drawing, Glimpse, Order
from service.generation.sampling import glimpse_generate, place_generate, read_generate
from service.generation.studio import LIGHT_ROWS
from service.http.body import BodyMemory, parse_json, read_body
from service.http.charging import charged
from service.http.event_stream import EventStream
from service.http.exchange import Exchange, exchange_of
from service.http.negotiation import accepted, negotiate
from service.http.patience import Patience
from service.http.presence import presence_of
from service.http.whole import Whole
from service.models.repository import Repository
from service.packaging.answer import Package, is_light, package
from service.packaging.events import EVENT_STREAM
from service.packaging.facts import Facts
from service.requests.bodies import Body, GenerateRequest
from service.runtime import Runtime

ReturnT = TypeVar("ReturnT")

# What is read on the event loop itself takes a millisecond or two at worst.
_LIGHT_BODY_BYTES = 4 * 1024


@dataclass(frozen=True)
class UseCase:
    """How a route's document becomes a body, and a body an order; these raise ``InvalidInput``."""

    read: Callable[[object, Repository], Any]
    place: Callable[[Any, Repository], Order]
    glimpse: Callable[[bytes, Repository], Glimpse | None] = lambda *_: None
    """What a body asks for at first sight, if that can be seen."""


_SAMPLING = UseCase(read_generate, place_generate, glimpse_generate)
_ARITHMETIC = UseCase(read_arithmetic, place_arithmetic)
_INTERPOLATION = UseCase(read_interpolate, place_interpolate)


class DrawingEndpoints:
    """Every endpoint that draws what a body asks for."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # Large bodies are read one at a time: what they become is many times their size.
        self._heavy = asyncio.Semaphore(1)
        self._bodies = BodyMemory(runtime.settings.max_bodies_bytes)

    def generate(self, request: Request) -> Awaitable[Response]:
        """``POST /generate``."""
        return self._answer(request, _SAMPLING)

    def arithmetic(self, request: Request) -> Awaitable[Response]:
        """``POST /arithmetic``."""
        return self._answer(request, _ARITHMETIC)

    def interpolate(self, request: Request) -> Awaitable[Response]:
        """``POST /interpolate``."""
        return self._answer(request, _INTERPOLATION)

    async def _answer(self, request: Request, case: UseCase) -> Response:
        with patience_with(request, self._runtime) as patience:
            length = exchange_of(request).headers.first(b"content-length")
            limit = self._runtime.settings.max_body_bytes
            body = await read_body(request.receive, length, limit, self._bodies)
            try:
                patience.watch()
                return await self._carry_out(request, case, body, patience.deadline)
            finally:
                self._bodies.let_go(len(body))

    async def _carry_out(self, request: Request, case: UseCase, body: bytes, deadline: float) -> Response:
        exchange = exchange_of(request)
        order = exchange.asks_for(await self._understand(body, case, exchange))
        media_type = negotiate(accepted(request), order)
        with charged(request, order.count):
            if media_type == EVENT_STREAM:
                return await self._stream(request, order, deadline)
            drawing, packed = await draw(self._runtime, exchange, order, media_type, deadline)
        headers = {**packed.headers, "Server-Timing": stages(drawing, packed), "Vary": "Accept"}
        return Whole(packed.body, media_type, headers)

    async def _stream(self, request: Request, order: Order, deadline: float) -> Response:
        runtime = self._runtime
        showing = await runtime.studio.begin(order, deadline)
        headers = Facts(order, showing.latents).headers()

        def count(rows: int) -> None:
            runtime.metrics.rows_delivered(order.model.name, order.model.version, rows)

        return EventStream(request, showing, runtime.studio, headers, count)

    async def _understand(self, body: bytes, case: UseCase, exchange: Exchange) -> Order:
        """Return the order in a body. The loop is left to others while a large one is read.

        While there is no room for more, ``QueueFull`` is raised for whatever would not fit, right or wrong.
        """
        repository, studio = self._runtime.repository, self._runtime.studio

        def read() -> Body:
            return case.read(parse_json(body), repository)  # type: ignore[no-any-return]

        light = len(body) <= _LIGHT_BODY_BYTES
        if light:
            if studio.was_full and (seen := case.glimpse(body, repository)) is not None:
                exchange.order = seen
                studio.require_room(seen.model.backend, seen.count)
            asked = read()
        else:
            async with self._heavy:
                asked = await studio.off_loop(read)
        if light and isinstance(asked, GenerateRequest) and (asked.n or 1) <= LIGHT_ROWS:
            return case.place(asked, repository)
        return await studio.off_loop(case.place, asked, repository)


async def draw(
    runtime: Runtime, exchange: Exchange, order: Order, media_type: str, deadline: float
) -> tuple[Drawing, Package]:
    """Draw an order and pack it; both are counted in the metrics, and timed in the exchange."""
    drawing = await runtime.studio.draw(order, deadline)
    if is_light(drawing, media_type):
        packed = package(drawing, media_type)
    else:
        packed = await runtime.studio.work_on(order, order.count, package, drawing, media_type)
    if exchange.journey is not None:
        exchange.journey.encoded(packed.encode_s)
    exchange.stages_s = (drawing.queue_s, drawing.inference_s, packed.encode_s)
    runtime.metrics.answer_encoded(media_type, packed.encode_s)
    runtime.metrics.rows_delivered(order.model.name, order.model.version, order.count)
    return drawing, packed


def stages(drawing: Drawing, packed: Package) -> str:
    """Return the value of Server-Timing."""
    queue, inference, encode = drawing.queue_s * 1000, drawing.inference_s * 1000, packed.encode_s * 1000
    return f"queue;dur={queue:.3f}, inference;dur={inference:.3f}, encode;dur={encode:.3f}"


def patience_with(request: Request, runtime: Runtime) -> Patience:
    """Return the block in which a request is answered.

    Raises ``InvalidInput`` for a wrong X-Timeout-Ms.
    """
    deadline = _deadline(request, runtime.settings.deadline_ms)
    return Patience(presence_of(request.scope, request.receive), deadline)


def _deadline(request: Request, longest_ms: int) -> float:
    given = exchange_of(request).headers.all(b"x-timeout-ms")
    if not given:
        milliseconds = longest_ms
    elif len(given) == 1 and re.fullmatch(r"[0-9]{1,9}", given[0]) and 1 <= int(given[0]) <= longest_ms:
        milliseconds = int(given[0])
    else:
        sentence = f"X-Timeout-Ms must be a whole number of milliseconds from 1 to {longest_ms}"
        raise InvalidInput([InputFault("X-Timeout-Ms", sentence, kind="header")])
    return asyncio.get_running_loop().time() + milliseconds / 1000
