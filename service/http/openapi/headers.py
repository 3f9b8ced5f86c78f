"""The headers of answers, as components of the document."""

from __future__ import annotations

from collections.abc import Sequence

from contract.latents import MAX_SEED
from contract.layout import NAME_PATTERN
from service.http.openapi.answers import REQUEST_ID_PATTERN
from service.http.openapi.schemas import DIGEST_PATTERN, Json, ref

ALWAYS = ("X-Request-Id", "Server-Timing")
"""On every answer."""
CHOSEN = ("Vary",)
"""On every answer whose form the client's Accept decides."""
KEPT = ("ETag", "Cache-Control")
STATED = (*KEPT, "X-Content-Type-Options")
"""On every answer that a client may keep; and on the files of the page, and the document."""
FACTS = (
    "X-Model", "X-Model-Version", "X-Model-Digest", "X-Seed", "X-Index", "X-Class-Label", "X-Class-Indices",
)  # fmt: skip
"""The facts of a drawing, beside a body that cannot carry them."""

RATE = ("RateLimit", "RateLimit-Policy")
"""On every answer to a key that has limits."""

_SEED = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}


def header_components() -> dict[str, Json]:
    """Return every header that an answer may have."""
    return {
        "X-Request-Id": _header(
            "The request's X-Request-Id, or a new one if it had none that is fit to be used.",
            {"type": "string", "pattern": REQUEST_ID_PATTERN},
            "9f86d081884c7d659a2feaa0c55ad015",
            required=True,
        ),
        "Server-Timing": _header(
            "Milliseconds of each stage: queue, inference and encode of a drawing, and total.",
            {"type": "string"},
            "queue;dur=0.412, inference;dur=1.903, encode;dur=0.210, total;dur=3.377",
            required=True,
        ),
        "X-Model": _header("The model's name.", {"type": "string", "pattern": NAME_PATTERN}, "mnist"),
        "X-Model-Version": _header("The model's version.", {"type": "integer", "minimum": 1}, 1),
        "X-Model-Digest": _header(
            "The model's digest.", {"type": "string", "pattern": DIGEST_PATTERN}, f"sha256:{'5e' * 32}"
        ),
        "X-Seed": _header("The seed, if all images are of one.", _SEED, 42),
        "X-Index": _header("The first image's index, if all are of one seed.", _SEED, 0),
        "X-Class-Label": _header(
            "The class, if all images show the same: its name, or the weights of a mixture as JSON; "
            "percent-encoded.",
            {"type": "string"},
            "three",
        ),
        "X-Class-Indices": _header(
            "The index of each image's class, if they show several, and none a mixture.",
            {"type": "string", "pattern": r"^\d+(,\d+)*$"},
            "3,1,4",
        ),
        "ETag": _header(
            "A strong validator: it changes with the bytes.", {"type": "string"}, f'"sha256:{"5e" * 32}"'
        ),
        "Cache-Control": _header(
            "How long the answer may be kept, and by whom.", {"type": "string"}, "public, no-cache"
        ),
        "Vary": _header("The request's headers that decide the answer's form.", {"type": "string"}, "Accept"),
        "Retry-After": _header(
            "Seconds to wait before the next attempt.", {"type": "integer", "minimum": 1}, 1, required=True
        ),
        "Allow": _header("The path's methods.", {"type": "string"}, "GET, HEAD", required=True),
        "Location": _header("Where the page is.", {"type": "string"}, "/docs", required=True),
        "X-Accel-Buffering": _header(
            "Asks proxies to pass each event on as it comes.", {"type": "string", "const": "no"}, "no"
        ),
        "X-Content-Type-Options": _header(
            "The media type is the one that is stated.", {"type": "string", "const": "nosniff"}, "nosniff"
        ),
        "Content-Security-Policy": _header(
            "The page loads nothing from anywhere else.",
            {"type": "string"},
            "default-src 'none'; script-src 'self'",
        ),
        "RateLimit": _header(
            "What is left to the key, of each of its limits (r), and in how many seconds there is more (t): "
            "draft-ietf-httpapi-ratelimit-headers.",
            {"type": "string"},
            '"requests";r=598;t=1, "images";r=4936;t=1',
        ),
        "RateLimit-Policy": _header(
            "The limits of the key: so many (q) in each window of so many seconds (w).",
            {"type": "string"},
            '"requests";q=600;w=60, "images";q=5000;w=60',
        ),
        "WWW-Authenticate": _header(
            "How to give a key.", {"type": "string"}, 'Bearer realm="forger"', required=True
        ),
    }


def headers(*names: str, of: Sequence[str] = ALWAYS) -> Json:
    """Return the headers of one answer: those of every answer, and the ones named."""
    return {name: ref(name, "headers") for name in (*of, *names)}


def _header(description: str, schema: Json, example: object, *, required: bool = False) -> Json:
    described: Json = {"description": description, "schema": schema, "example": example}
    return {**described, "required": True} if required else described
