"""The request body of ``POST /generate``: types, ranges and names of its fields, and nothing of any model."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from contract.latents import MAX_SEED, Truncation
from service.errors import InputFault, InvalidInput

MAX_LATENT_VALUE = 1e4
_FAULTS_SHOWN = 10

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Coordinate = Annotated[float, Field(ge=-MAX_LATENT_VALUE, le=MAX_LATENT_VALUE, allow_inf_nan=False)]
Coordinates = Annotated[list[Coordinate], Field(min_length=1, fail_fast=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SeedRef(_Strict):
    """The latent of (seed, index)."""

    seed: Seed
    index: Seed = 0


class LatentRef(_Strict):
    """A canonical latent, spelled out."""

    latent: Coordinates


class Base64Ref(_Strict):
    """A canonical latent as base64 of float32, little-endian."""

    latent_b64: str


class GraphInputRef(_Strict):
    """What the graph is fed, as it is: no prior, no truncation."""

    z: Coordinates


_REFERENCES = ("seed", "latent", "latent_b64", "z")
_REFERENCE_SENTENCE = 'must be an object with one of "seed" (and "index"), "latent", "latent_b64" or "z"'


def _reference_kind(value: object) -> str | None:
    kinds = [key for key in _REFERENCES if isinstance(value, dict) and key in value]
    return kinds[0] if len(kinds) == 1 else None


AnyLatentRef = Annotated[
    Annotated[SeedRef, Tag("seed")]
    | Annotated[LatentRef, Tag("latent")]
    | Annotated[Base64Ref, Tag("latent_b64")]
    | Annotated[GraphInputRef, Tag("z")],
    Discriminator(
        _reference_kind, custom_error_type="latent_reference", custom_error_message=_REFERENCE_SENTENCE
    ),
]


def _named_truncation(value: object) -> object:
    if value is not None and not isinstance(value, dict):
        raise PydanticCustomError(
            "truncation",
            'must be {{"mode": "threshold" or "scale", "value": a number}}: equal numbers mean different '
            "spreads, so the mode is always named",
        )
    return value


class GenerateRequest(_Strict):
    """What to draw, and in which form. A field that is null is as if absent."""

    model: str | None = None
    n: int | None = Field(None, ge=1)
    seed: Seed | None = None
    index: Seed | None = None
    latents: Annotated[list[AnyLatentRef], Field(min_length=1, fail_fast=True)] | None = None
    class_label: Any = None
    truncation: Annotated[Truncation | None, BeforeValidator(_named_truncation)] = Field(None, strict=False)
    output_format: Literal["png", "jpeg", "webp", "npy", "json"] | None = None
    quality: int = Field(90, ge=1, le=100)
    layout: Literal["list", "grid"] = "list"
    return_latents: bool = False


def parse_generate_request(document: object, most_latents: int) -> GenerateRequest:
    """Return the request that a JSON document spells; raises ``InvalidInput`` naming the fields at fault.

    ``most_latents`` is more than any model allows: a longer list is refused unread.
    """
    if not isinstance(document, dict):
        raise InvalidInput.at("", f"the body must be a JSON object, not {describe(document)}")
    latents = document.get("latents")
    if isinstance(latents, list) and len(latents) > most_latents:
        raise InvalidInput.at("/latents", f"latents: {len(latents)} is too many; at most {most_latents}")
    try:
        request = GenerateRequest.model_validate(document)
    except ValidationError as error:
        shown = error.errors(include_url=False)[:_FAULTS_SHOWN]
        raise InvalidInput([_fault(one) for one in shown]) from error
    given = [name for name in ("n", "seed", "index") if getattr(request, name) is not None]
    if request.latents is not None and given:
        raise InvalidInput.at(
            f"/{given[0]}", f"{given[0]} cannot be combined with latents, which stand alone"
        )
    return request


def describe(value: object) -> str:
    """Return a short description of a JSON value for an error's sentence; never more than a line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def pointer(location: tuple[int | str, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a place in the body."""
    return "".join("/" + str(part)[:200].replace("~", "~0").replace("/", "~1") for part in location)


def _fault(error: ErrorDetails) -> InputFault:
    location = error["loc"]
    if location[0] == "latents" and len(location) > 2:
        location = (*location[:2], *location[3:])  # the third part is the union's tag, no part of the body
    field = ".".join(str(part)[:60] for part in location)
    return InputFault("#" + pointer(location), f"{field}: {_sentence(error)}")


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a finite number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
}
"""pydantic's error types that mean a wrong JSON type, and what is wanted."""


def _sentence(error: ErrorDetails) -> str:  # noqa: PLR0911 - a table of sentences
    kind, context, got = error["type"], error.get("ctx", {}), describe(error["input"])
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, not {got}"
    match kind:
        case "extra_forbidden":
            return f"unknown key; allowed: {', '.join(_allowed_keys(error['loc']))}"
        case "missing":
            return "is required"
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {got}"
        case "less_than_equal":
            return f"must be at most {context['le']}, not {got}"
        case "literal_error" | "enum":
            return f"must be {context['expected']}, not {got}"
        case _:
            return error["msg"].removeprefix("Value error, ")


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    if location[0] == "truncation":
        return [*Truncation.model_fields]
    if location[0] == "latents":
        kind = location[2]
        return [str(kind), "index"] if kind == "seed" else [str(kind)]
    return [*GenerateRequest.model_fields]
