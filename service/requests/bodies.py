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
_FORMATS = (
    "How an item's file is encoded. Images: png (the default), jpeg, webp, npy. Vectors: json (the default), "
    "npy, or png, one histogram of all."
)
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

    model: str | None = Field(
        None, description="`name` means its current version; absent, the default model is meant."
    )
    output_format: StillFormat | Literal["gif"] | None = Field(
        None,
        description=f"{_FORMATS} An interpolation of images also gif: one animation of all.",
    )
    quality: int = Field(90, ge=1, le=100, description="Of jpeg and webp.")
    layout: Literal["list", "grid"] = Field(
        "list",
        description="grid: one picture of all images; its rows follow the classes if they are balanced.",
    )
    return_latents: bool = Field(
        False,  # noqa: FBT003 - a field's default has no name
        description="Whether items carry their canonical latent, in `latent_b64`.",
    )


class GenerateRequest(Body):
    """``POST /generate``: images of a seed, or of the latents given."""

    n: int | None = Field(None, ge=1, description="How many; 1 if absent.")
    seed: Seed | None = Field(None, description="Absent, a random one is drawn; it is always echoed.")
    index: Seed | None = Field(
        None, description="The first image of the seed, 0 if absent; the others are index + 1, index + 2, …"
    )
    latents: References | None = Field(
        None, description="The latents to draw, instead of n, seed and index; both together is 422."
    )
    class_label: Any = None
    truncation: AnyTruncation = None
    output_format: StillFormat | None = Field(None, description=_FORMATS)


class Term(Strict):
    """One term of a sum: the mean of some latents, times a weight."""

    weight: Weight = Field(description="What the mean is multiplied with.")
    of: Annotated[list[AnyLatentRef], Field(fail_fast=True, min_length=1, max_length=MAX_TERM_REFERENCES)] = (
        Field(description="The latents whose mean is meant.")
    )
    class_label: Any = None


class Jitter(Strict):
    """Neighbours of a result: how many, how far away, and which."""

    n: int = Field(8, ge=1, description="How many neighbours.")
    scale: float = Field(
        0.25,
        gt=0,
        le=MAX_JITTER_SCALE,
        allow_inf_nan=False,
        description="How far away, as a standard deviation.",
    )
    seed: Seed = Field(0, description="Which neighbours: the same seed draws the same ones.")


class ArithmeticRequest(Body):
    """``POST /arithmetic``: the image of a weighted sum of latents."""

    terms: Annotated[list[Term], Field(fail_fast=True, min_length=1, max_length=MAX_TERMS)] = Field(
        description="The sum: each term is a weight times the mean of some latents."
    )
    class_label: Any = None
    truncation: AnyTruncation = None
    normalize: Normalization = Field(
        "match",
        description="match: the sum is divided by the root of its summed squared coefficients, and has the "
        "prior's law again. sphere: it is put on the sphere of radius √d. none: it stays as it is.",
    )
    include_terms: bool = Field(
        False,  # noqa: FBT003 - a field's default has no name
        description="Whether each term's own mean is drawn too.",
    )
    jitter: Jitter | None = Field(None, description="Neighbours of the result, drawn after it.")
    output_format: StillFormat | None = Field(None, description=_FORMATS)


class Keyframe(Strict):
    """One place that a path goes through."""

    latent: AnyLatentRef = Field(description="The place.")
    class_label: Any = None
    truncation: AnyTruncation = None


class InterpolateRequest(Body):
    """``POST /interpolate``: images along a path of latents."""

    keyframes: Annotated[list[Keyframe], Field(fail_fast=True, min_length=2, max_length=MAX_KEYFRAMES)] = (
        Field(description="The places in order. Labels and truncations stand on all of them or on none.")
    )
    method: Method = Field(
        "slerp",
        description="slerp: along the sphere. match: straight, rescaled to the prior's law. linear: straight "
        "(norms shrink to about 0.71 half-way). cubic: a smooth curve through all keyframes.",
    )
    steps: int = Field(
        8,
        ge=2,
        description="Points of a segment, both ends counted: K keyframes are (K-1)(steps-1)+1 images, "
        "K(steps-1) with loop.",
    )
    loop: bool = Field(
        False,  # noqa: FBT003 - a field's default has no name
        description="Whether the path leads back to the first keyframe.",
    )
    fps: int = Field(12, ge=1, le=MAX_FPS, description="Images a second of an animation.")
