"""From a JSON document to a typed body, or to a sentence for each fault that names the field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contract.latents import Truncation
from service.errors import InputFault, InvalidInput
from service.requests.bodies import Jitter, Keyframe, Term
from service.requests.references import REFERENCES, Strict, union_tag
from service.requests.wording import BEYOND_FLOAT, Location, describe, dotted, pointer

BodyT = TypeVar("BodyT", bound=Strict)

_FAULTS_SHOWN = 10
_TAGGED: dict[int | str, type[BaseModel]] = {union_tag(key): kind for key, kind in REFERENCES.items()}
_NAMED: dict[int | str, type[BaseModel]] = {
    "truncation": Truncation,
    "jitter": Jitter,
    "terms": Term,
    "keyframes": Keyframe,
}
"""The objects inside a body, by the key under which they, or a list of them, stand."""


def read_body_as(kind: type[BodyT], document: object) -> BodyT:
    """Return the body that a JSON document spells; raises ``InvalidInput`` naming the fields at fault."""
    if not isinstance(document, dict):
        raise InvalidInput.at("", f"the body must be a JSON object, not {describe(document)}")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        shown = error.errors(include_url=False)[:_FAULTS_SHOWN]
        raise InvalidInput([_fault(one, kind) for one in shown]) from error


def _fault(error: ErrorDetails, body: type[BaseModel]) -> InputFault:
    location = _without_tags(error["loc"])
    if location[-1] == "truncation" and error["type"] == "value_error":
        # The range depends on the mode, so the whole object checks it; the value is at fault.
        location = (*location, "value")
    return InputFault("#" + pointer(location), f"{dotted(location)}: {_sentence(error, body)}")


def _without_tags(location: Location) -> Location:
    """Return the place in the body; pydantic's location mentions which kind of reference was tried."""
    return (*(part for part in location[:-1] if part not in _TAGGED), location[-1])


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a finite number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
"""pydantic's error types that mean a wrong JSON type, and what is wanted."""


def _sentence(error: ErrorDetails, body: type[BaseModel]) -> str:  # noqa: C901, PLR0911 - a table of sentences
    kind, context, got = error["type"], error.get("ctx", {}), describe(error["input"])
    if kind in _TYPES:
        # An integer too long for a float is no float to pydantic.
        too_long = kind == "float_type" and type(error["input"]) is int
        return f"must be {_TYPES[kind]}, not {BEYOND_FLOAT if too_long else got}"
    match kind:
        case "extra_forbidden":
            return f"unknown key; allowed: {', '.join(_allowed_keys(error['loc'], body))}"
        case "missing":
            return "is required"
        case "greater_than_equal":
            return f"must be at least {_limit(context['ge'])}, not {got}"
        case "greater_than":
            return f"must be above {_limit(context['gt'])}, not {got}"
        case "less_than_equal":
            return f"must be at most {_limit(context['le'])}, not {got}"
        case "too_short":
            least = context["min_length"]
            entries = "1 entry" if least == 1 else f"{least} entries"
            return f"must have at least {entries}, not {context['actual_length']}"
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case "literal_error" | "enum":
            return f"must be {context['expected']}, not {got}"
        case "value_error":  # Truncation's own range, the only one
            return f"{error['msg'].removeprefix('Value error, ')}, not {describe(error['input']['value'])}"
        case _:
            return error["msg"]


def _limit(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _allowed_keys(location: Location, body: type[BaseModel]) -> Iterable[str]:
    """Return the keys of the object in which the location's last part is none."""
    parents = [part for part in location[:-1] if not isinstance(part, int)]
    if not parents:
        return body.model_fields
    kind = _TAGGED[parents[-1]] if parents[-1] in _TAGGED else _NAMED[parents[-1]]
    return kind.model_fields
