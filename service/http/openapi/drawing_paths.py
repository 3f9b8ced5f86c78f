"""The routes that draw what a body asks for, as operations of the document."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.encoding import CONTENT_TYPES
from service.generation.order import Order
from service.http.openapi.drawn_examples import answer_document, stream_text
from service.http.openapi.events import stream_content
from service.http.openapi.examples import Example
from service.http.openapi.headers import ALWAYS, CHOSEN, FACTS, headers
from service.http.openapi.parameters import parameters
from service.http.openapi.problems import AT_THE_DOOR, ProblemResponses
from service.http.openapi.schemas import Json, ref

_PROBLEMS = (
    "malformed-json", "unknown-model", "method-not-allowed", "not-acceptable", "body-too-large",
    "unsupported-media-type", "invalid-input", "queue-full", "model-output", "unexpected", "unavailable",
    "deadline-exceeded", *AT_THE_DOOR,
)  # fmt: skip

_ANSWERS_SHOWN = ("one", "class", "mixture", "several", "grid", "echoed-latent", "sum-of-means", "neighbours",
                  "terms", "slerp", "animation", "classes")  # fmt: skip
_MOST_ITEMS_SHOWN = 12
_MOST_NUMBERS_SHOWN = 1000
# Blank images are packed to little, and yet it takes time.
_MOST_LEVELS_SHOWN = 2_000_000

_ACCEPT = """
`Accept` decides the form of the answer (q-values count; `*/*` or no Accept means JSON):

- `application/json`: always.
- {pictures}
- `application/x-npy`: an array, uint8 `[N, H, W, C]` of images (a grid is one); float32 `[N, size]` of
  vectors.
- `application/zip`: `000000.png`, `000001.png`, … and `manifest.jsonl`, each line one of FileFacts,
  GridFacts, AnimationFacts, HistogramFacts or VectorItem.
- `text/event-stream`: an event `image` as each item is drawn, then `done`, or `error`.

`output_format` says how items are encoded, and rules other file formats out: what contradicts it is 406.

The body is read as JSON also if its Content-Type is application/x-www-form-urlencoded (what `curl -d` sends),
text/plain, `application/…+json`, or missing; anything else is 415. It may have {limit} bytes at most. Whole
numbers are written without a decimal point. A key that is null is as if absent; keys that are not known are
refused.
"""
_STILLS = (
    "`image/png`, `image/jpeg`, `image/webp`: one image, or a grid, as a file, its facts in the headers; of "
    "vectors `image/png`, one histogram of all."
)
_ANIMATIONS = (
    "`image/gif`, `image/webp`: an animation of all images. `image/png`, `image/jpeg`, `image/webp`: a "
    "grid. Of vectors `image/png`, one histogram of all."
)

_ROUTES = {
    "/generate": (
        "generate",
        "Draw images, or vectors",
        (
            "Draws images of a seed, or of the latents given. The same model digest, seed, index, class and "
            "truncation draw the same image."
        ),
        "GenerateRequest",
    ),
    "/arithmetic": (
        "arithmetic",
        "Draw a weighted sum of latents",
        (
            "Draws the image of a weighted sum of means of latents, its neighbours if `jitter` asks for "
            "them, and the terms' own images with `include_terms`; in this order. Its class is "
            "`class_label`, or else the terms' classes, summed as the latents are; a model with classes "
            "needs one of the two."
        ),
        "ArithmeticRequest",
    ),
    "/interpolate": (
        "interpolate",
        "Draw a path through latents",
        (
            "Draws images along a path through keyframes. Class weights and truncations move linearly "
            "between keyframes; without labels, each seed has its own random class."
        ),
        "InterpolateRequest",
    ),
}


def drawing_paths(
    examples: dict[str, list[Example]], problems: ProblemResponses, max_body_bytes: int, extra: Sequence[str]
) -> dict[str, Json]:
    """Return the path items of the POST routes; ``extra`` are problems that settings add."""
    paths = {}
    for path, (name, summary, description, body) in _ROUTES.items():
        animated = path == "/interpolate"
        accept = _ACCEPT.format(pictures=_ANIMATIONS if animated else _STILLS, limit=f"{max_body_bytes:,}")
        operation: Json = {
            "operationId": name,
            "tags": ["Drawing"],
            "summary": summary,
            "description": f"{description}\n{accept}",
            "parameters": parameters("TimeoutMs"),
            "requestBody": _request_body(body, examples[path], required=path != "/generate"),
            "responses": {
                "200": _response(examples[path], animated=animated),
                **problems.by_status([*_PROBLEMS, *extra]),
            },
        }
        paths[path] = {"post": operation}
    return paths


def _request_body(schema: str, examples: Sequence[Example], *, required: bool) -> Json:
    named = {one.name: {"summary": one.summary, "value": one.body} for one in examples}
    content = {CONTENT_TYPES["json"]: {"schema": ref(schema), "examples": named}}
    described = "" if required else " An empty body is `{}`."
    return {"description": f"What to draw.{described}", "required": required, "content": content}


def _response(examples: Sequence[Example], *, animated: bool) -> Json:
    files = ("png", "jpeg", "webp", *(("gif",) if animated else ()), "npy", "zip")
    shown = _shown(examples)
    return {
        "description": "What was drawn, in the form that Accept asks for. Every form but JSON states the "
        "model, and the seed and the class if all images share them, in headers. In the examples all "
        "images are blank.",
        "headers": headers(*FACTS, "Cache-Control", "X-Accel-Buffering", of=(*ALWAYS, *CHOSEN)),
        "content": {
            CONTENT_TYPES["json"]: {
                "schema": ref("Answer"),
                "examples": {
                    one.name: {"summary": one.summary, "value": answer_document(one)} for one in shown
                },
            },
            **{CONTENT_TYPES[name]: binary(CONTENT_TYPES[name]) for name in files},
            **stream_content(
                {one.name: {"summary": one.summary, "value": stream_text(one)} for one in shown[:2]}
            ),
        },
    }


def _shown(examples: Sequence[Example]) -> list[Example]:
    """Return the examples whose answers are shown: the first in any case, and others that are short."""
    suited = [one for one in examples if one.name in _ANSWERS_SHOWN]
    return [one for place, one in enumerate(suited) if place == 0 or _is_short(one.order)]


def _is_short(order: Order) -> bool:
    most = _MOST_LEVELS_SHOWN if order.model.is_image else _MOST_NUMBERS_SHOWN
    size = order.count * math.prod(order.model.manifest.output.shape)
    return order.count <= _MOST_ITEMS_SHOWN and size <= most


def binary(media_type: str) -> Json:
    """Return the media type object of a file."""
    return {"schema": {"type": "string", "format": "binary", "contentMediaType": media_type}}
