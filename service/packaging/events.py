"""An answer as server-sent events: an ``image`` as soon as each is drawn, then ``done`` or ``error``.

Source: the WHATWG HTML standard, 9.2, "Server-sent events".
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from service.backend import Drawn
from service.generation.order import Drawing
from service.generation.studio import Showing, Studio
from service.packaging.answer import as_json, envelope, timings
from service.packaging.sheet import Sheet

EVENT_STREAM = "text/event-stream"


def event(name: str, document: object) -> bytes:
    """Return one event; JSON is written on one line, as an event's data must be."""
    return b"event: " + name.encode("ascii") + b"\ndata: " + as_json(document) + b"\n\n"


async def events(showing: Showing, studio: Studio) -> AsyncGenerator[tuple[int, bytes], None]:
    """Yield events of an order under way with the number of rows that they deliver, ending with ``done``.

    Raises whatever stops it before.
    """
    sheet = Sheet(showing.order, showing.latents)
    encode_s = 0.0

    async def encoded(drawn: Drawn, first: int = 0) -> bytes:
        nonlocal encode_s
        begun = time.perf_counter()
        text = await studio.work_on(showing.order, len(drawn), _images, sheet, drawn, first)
        encode_s += time.perf_counter() - begun
        return text

    async for first, drawn in showing.parts():
        if sheet.is_itemised:
            yield len(drawn), await encoded(drawn, first)
    drawing = showing.drawing()
    if not sheet.is_itemised:
        yield drawing.order.count, await encoded(drawing.pixels_or_values)
    yield 0, event("done", _ending(drawing, encode_s))


def _images(sheet: Sheet, drawn: Drawn, first: int) -> bytes:
    return b"".join(event("image", item.document()) for item in sheet.items(drawn, first))


def _ending(drawing: Drawing, encode_s: float) -> dict[str, object]:
    counted = {"count": drawing.order.count}
    return {**envelope(drawing.order.model), **counted, "timings": timings(drawing, encode_s)}
