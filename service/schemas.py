"""The request body of ``POST /generate``: types, ranges and names of its fields, and nothing of any model."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from contract.latents import MAX_SEED, Truncation
from service.errors import InputFault, InvalidInput

MAX_LATENT_VALUE = 1e4
_FAULTS_SHOWN = 10
_ECHOED_CHARACTERS = 60
# What may stand in a URI's fragment as it is (RFC 3986, 3.5), beside letters, digits and "_.-~".
_FRAGMENT = "/?!$&'()*+,;=:@"

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Coordinate = Annotated[float, Field(ge=-MAX_LATENT_VALUE, le=MAX_LATENT_VALUE, allow_inf_nan=False)]
Coordinates = Annotated[list[Coordinate], Field(fail_fast=True)]


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
_REFERENCE_KEYS = frozenset({*_REFERENCES, "index"})
_REFERENCE_SENTENCE = 'must be an object with one of "seed" (and "index"), "latent", "latent_b64" or "z"'


def _reference_kind(value: object) -> str | None:
    kinds = [key for key in _REFERENCES if isinstance(value, dict) and key in value]
    return kinds[0] if len(kinds) == 1 else None


def _without_nulls(value: object, known: Collection[str]) -> object:
    """Return the object without its known keys that are null: they are as if absent."""
    if not isinstance(value, dict) or None not in value.values():
        return value
    return {key: field for key, field in value.items() if field is not None or key not in known}


AnyLatentRef = Annotated[
    Annotated[SeedRef, Tag("seed")]
    | Annotated[LatentRef, Tag("latent")]
    | Annotated[Base64Ref, Tag("latent_b64")]
    | Annotated[GraphInputRef, Tag("z")],
    Discriminator(
        _reference_kind, custom_error_type="latent_reference", custom_error_message=_REFERENCE_SENTENCE
    ),
    BeforeValidator(lambda value: _without_nulls(value, _REFERENCE_KEYS)),
]


def _named_truncation(value: object) -> object:
    if value is not None and not isinstance(value, dict):
        raise PydanticCustomError(
            "truncation",
            'must be {"mode": "threshold" or "scale", "value": a number}: equal numbers mean different '
            "spreads, so the mode is always named",
        )
    return value


class GenerateRequest(_Strict):
    """What to draw, and in which form. A field that is null is as if absent."""

    model: str | None = None
    n: int | None = Field(None, ge=1)
    seed: Seed | None = None
    index: Seed | None = None
    latents: Annotated[list[AnyLatentRef], Field(fail_fast=True)] | None = None
    class_label: Any = None
    truncation: Annotated[Truncation | None, BeforeValidator(_named_truncation)] = Field(None, strict=False)
    output_format: Literal["png", "jpeg", "webp", "npy", "json"] | None = None
    quality: int = Field(90, ge=1, le=100)
    layout: Literal["list", "grid"] = "list"
    return_latents: bool = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        return _without_nulls(value, cls.model_fields)


def parse_generate_request(document: object) -> GenerateRequest:
    """Return the request that a JSON document spells; raises ``InvalidInput`` naming the fields at fault."""
    if not isinstance(document, dict):
        raise InvalidInput.at("", f"the body must be a JSON object, not {describe(document)}")
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
    """Return a short description of a JSON value for an error's sentence; never more than a line.

    Every value that a sentence echoes passes here, and is cut off at the same length.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and math.isinf(value):
        return "a number beyond 1.8e308"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _ECHOED_CHARACTERS else text[:_ECHOED_CHARACTERS] + "…"


def pointer(location: tuple[int | str, ...]) -> str:
    """Return the JSON pointer of a place in the body, as a URI's fragment spells it (RFC 6901, 6)."""
    escaped = (str(part)[:200].replace("~", "~0").replace("/", "~1") for part in location)
    return "".join("/" + quote(part, safe=_FRAGMENT) for part in escaped)


def _fault(error: ErrorDetails) -> InputFault:
    location = error["loc"]
    if location[0] == "latents" and len(location) > 2:
        location = (*location[:2], *location[3:])  # the third part is the union's tag, no part of the body
    elif location == ("truncation",) and error["type"] == "value_error":
        # The range depends on the mode, so the whole object checks it; the value is at fault.
        location = ("truncation", "value")
    field = ".".join(str(part)[:_ECHOED_CHARACTERS] for part in location)
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
        case "value_error":  # Truncation's own range, the only one
            return f"{error['msg'].removeprefix('Value error, ')}, not {describe(error['input']['value'])}"
        case _:
            return error["msg"]


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    if location[0] == "truncation":
        return [*Truncation.model_fields]
    if location[0] == "latents":
        kind = location[2]
        return [str(kind), "index"] if kind == "seed" else [str(kind)]
    return [*GenerateRequest.model_fields]
