"""A drawing in the media type that was negotiated."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from contract.latents import RNG
from service.encoding import CONTENT_TYPES, encode_zip
from service.generation.order import Drawing
from service.ids import new_id
from service.models.served import ServedModel
from service.packaging.sheet import Item, Sheet

JSON = CONTENT_TYPES["json"]
NPY = CONTENT_TYPES["npy"]
ZIP = CONTENT_TYPES["zip"]

# Values, and files, that are packed at once.
_COPIED_AT_ONCE = 2**20
_ENCODED_AT_ONCE = 2**14
_FEW = 4

_SUFFIXES = {content_type: name for name, content_type in CONTENT_TYPES.items()}


@dataclass(frozen=True)
class Package:
    """The bytes of an answer, its media type, and the headers that state its facts."""

    body: bytes
    media_type: str
    headers: dict[str, str]
    encode_s: float


def is_light(drawing: Drawing, media_type: str) -> bool:
    """Tell whether packing takes no longer than handing it to a thread, a tenth of a millisecond, or two."""
    order, size = drawing.order, drawing.pixels_or_values.size
    if media_type == NPY:
        return not order.is_grid and size <= _COPIED_AT_ONCE
    plain = order.output_format in ("png", "npy", "json") and media_type in (JSON, CONTENT_TYPES["png"])
    return plain and order.count <= _FEW and size <= _ENCODED_AT_ONCE


def package(drawing: Drawing, media_type: str) -> Package:
    """Return the answer in the media type that was negotiated."""
    begun = time.perf_counter()
    sheet = Sheet(drawing.order, drawing.latents)
    drawn = drawing.pixels_or_values
    if media_type == JSON:
        data = [item.document() for item in sheet.items(drawn)]
        encode_s = time.perf_counter() - begun
        document = {**envelope(drawing.order.model), "data": data, "timings": timings(drawing, encode_s)}
        return Package(as_json(document), media_type, {}, encode_s)
    if media_type == NPY:
        body = sheet.array_file(drawn)
    elif media_type == ZIP:
        body = encode_zip(_files(sheet.items(drawn)))
    else:
        body = sheet.single(drawn, _SUFFIXES[media_type])
    return Package(body, media_type, sheet.facts.headers(), time.perf_counter() - begun)


def envelope(model: ServedModel) -> dict[str, Any]:
    """Return what an answer says beside its data: a new id, the time, the model."""
    return {
        "id": f"gen_{new_id(12)}",
        "created": int(time.time()),
        "model": model.name,
        "version": model.version,
        "model_digest": model.digest,
        "rng": RNG,
    }


def timings(drawing: Drawing, encode_s: float) -> dict[str, float | int]:
    """Return how long each stage took, in milliseconds, and how large the largest batch was."""
    return {
        "queue_ms": round(drawing.queue_s * 1000, 3),
        "inference_ms": round(drawing.inference_s * 1000, 3),
        "encode_ms": round(encode_s * 1000, 3),
        "batch_rows": drawing.batch_rows,
    }


def as_json(document: object) -> bytes:
    """Return a document, which may hold arrays, as JSON on one line."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _files(items: Sequence[Item]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive: one an item, and a line an item in ``manifest.jsonl``."""
    for number, item in enumerate(items):
        if item.content is not None:
            yield f"{number:06d}.{_SUFFIXES[item.facts['content_type']]}", item.content
    yield "manifest.jsonl", b"".join(as_json(item.facts) + b"\n" for item in items)
