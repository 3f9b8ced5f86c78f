"""Answers to the examples, in every form, made by the code that makes answers, of blank images."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from service.http.openapi.examples import Example
from service.packaging.answer import as_json, envelope
from service.packaging.events import event
from service.packaging.sheet import Sheet

_FIXED = {"id": f"gen_{'0123456789ab' * 2}", "created": 1_790_000_000}
_TIMINGS = {"queue_ms": 0.412, "inference_ms": 1.903, "encode_ms": 0.21, "batch_rows": 12}


def answer_document(example: Example) -> dict[str, Any]:
    """Return the JSON answer to an example, with blank images, or zeros, in the place of what is drawn."""
    return _plain({**_envelope(example), "data": _items(example), "timings": _TIMINGS})


def stream_text(example: Example) -> str:
    """Return the events that answer an example."""
    events = [event("image", item) for item in _items(example)]
    ending = {**_envelope(example), "count": example.order.count, "timings": _TIMINGS}
    return b"".join([*events, event("done", ending)]).decode("utf-8")


def _envelope(example: Example) -> dict[str, Any]:
    return {**envelope(example.order.model), **_FIXED}


def _items(example: Example) -> list[dict[str, Any]]:
    order = example.order
    shape = (order.count, *order.model.manifest.output.shape)
    drawn = np.zeros(shape, np.uint8 if order.model.is_image else np.float32)
    return [item.document() for item in Sheet(order, example.latents).items(drawn)]


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without arrays, as a client reads it."""
    plain: dict[str, Any] = orjson.loads(as_json(document))
    return plain
