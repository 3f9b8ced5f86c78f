"""The bodies of the POST routes, field by field. A field that is null is as if absent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from contract.latents import Truncation
from service.latent_ops import MAX_LATENT_VALUE, Method, Normalization
from service.requests.references import AnyLatentRef, Seed, Strict

MAX_TERMS = 64
MAX_TERM_REFERENCES = 64
MAX_KEYFRAMES = 64
MAX_FPS = 60
MAX_JITTER_SCALE = 4.0

StillFormat = Literal["png", "jpeg", "webp", "npy", "json"]
Weight = Annotated[float, Field(ge=-MAX_LATENT_VALUE, le=MAX_LATENT_VALUE, allow_inf_nan=False)]
References = Annotated[list[AnyLatentRef], Field(fail_fast=True)]


def _named(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError(
            "truncation",
            'must be {"mode": "threshold" or "scale", "value": a number}: equal numbers mean different '
            "spreads, so the mode is always named",
        )
    return value


AnyTruncation = Annotated[Truncation, Field(strict=False), BeforeValidator(_named)] | None


class Body(Strict):
    """What every drawing can be asked for: the model, and the form of the answer."""

    model: str | None = None
    output_format: StillFormat | Literal["gif"] | None = None
    quality: int = Field(90, ge=1, le=100)
    layout: Literal["list", "grid"] = "list"
    return_latents: bool = False


class GenerateRequest(Body):
    """``POST /generate``: images of a seed, or of the latents given."""

    n: int | None = Field(None, ge=1)
    seed: Seed | None = None
    index: Seed | None = None
    latents: References | None = None
    class_label: Any = None
    truncation: AnyTruncation = None
    output_format: StillFormat | None = None


class Term(Strict):
    """One term of a sum: the mean of some latents, times a weight."""

    weight: Weight
    of: Annotated[list[AnyLatentRef], Field(fail_fast=True, min_length=1, max_length=MAX_TERM_REFERENCES)]
    class_label: Any = None


class Jitter(Strict):
    """Neighbours of a result: how many, how far away, and which."""

    n: int = Field(8, ge=1)
    scale: float = Field(0.25, gt=0, le=MAX_JITTER_SCALE, allow_inf_nan=False)
    seed: Seed = 0


class ArithmeticRequest(Body):
    """``POST /arithmetic``: the image of a weighted sum of latents."""

    terms: Annotated[list[Term], Field(fail_fast=True, min_length=1, max_length=MAX_TERMS)]
    class_label: Any = None
    truncation: AnyTruncation = None
    normalize: Normalization = "match"
    include_terms: bool = False
    jitter: Jitter | None = None
    output_format: StillFormat | None = None


class Keyframe(Strict):
    """One place that a path goes through."""

    latent: AnyLatentRef
    class_label: Any = None
    truncation: AnyTruncation = None


class InterpolateRequest(Body):
    """``POST /interpolate``: images along a path of latents."""

    keyframes: Annotated[list[Keyframe], Field(fail_fast=True, min_length=2, max_length=MAX_KEYFRAMES)]
    method: Method = "slerp"
    steps: int = Field(8, ge=2)
    loop: bool = False
    fps: int = Field(12, ge=1, le=MAX_FPS)
