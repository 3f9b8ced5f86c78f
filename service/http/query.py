"""Query strings: known parameters, each given once, and faults that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from contract.layout import parse_version
from service.errors import InputFault, InvalidInput


def parameters(request: Request, allowed: Sequence[str]) -> dict[str, str]:
    """Return the query's parameters; raises ``InvalidInput`` for one that is unknown or given twice."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            known = f"allowed: {', '.join(allowed)}" if allowed else "none is allowed"
            raise wrong_parameter(name[:60], f"{name[:60]} is no parameter here; {known}")
        if name in given:
            raise wrong_parameter(name, f"{name} must be given once")
        given[name] = value
    return given


def wrong_parameter(name: str, sentence: str) -> InvalidInput:
    """Return the error of one parameter, of the path or the query."""
    return InvalidInput([InputFault(name, sentence, kind="parameter")])


def named_model(name: str, given: Mapping[str, str]) -> str:
    """Return the model that a path's ``name`` or ``name:version``, and its query's version, mean."""
    version = given.get("version")
    if version is None:
        return name
    bare, colon, spelled = name.partition(":")
    if parse_version(version) is None:
        raise wrong_parameter("version", "version must be a whole number, 1 or more")
    if colon and spelled != version:
        raise wrong_parameter("version", "version differs from the one in the path; give one of the two")
    return f"{bare}:{version}"
