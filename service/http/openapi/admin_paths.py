"""The operator's routes, as operations of the document; they are in it only where keys are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from contract.layout import NAME_PATTERN
from service.http.openapi.headers import headers
from service.http.openapi.parameters import parameters
from service.http.openapi.problems import ProblemResponses
from service.http.openapi.schemas import DIGEST_PATTERN, Json, ref
from service.http.paths import ADMIN

_JSON = "application/json"
_PROPERTIES: Json = {
    "name": {"type": "string", "pattern": NAME_PATTERN},
    "version": {"type": "integer", "minimum": 1},
    "state": {
        "type": "string",
        "enum": ["served", "loading", "refused", "unloaded"],
        "description": "refused: its directory is not sound, see reason. unloaded: by an operator.",
    },
    "current": {"type": "boolean", "description": "Whether the name alone means this version."},
    "pinned": {"type": "boolean"},
    "digest": {"type": ["string", "null"], "pattern": DIGEST_PATTERN},
    "reason": {
        "type": ["string", "null"],
        "description": "Why it is refused, or what is wrong by now with the directory of one that is served.",
    },
}
ADMIN_SCHEMAS: dict[str, Json] = {
    "ModelStanding": {
        "title": "ModelStanding",
        "description": "How one version in the directory of models stands.",
        "type": "object",
        "properties": _PROPERTIES,
        "required": list(_PROPERTIES),
        "additionalProperties": False,
    },
    "ModelStandings": {
        "title": "ModelStandings",
        "type": "object",
        "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/ModelStanding"}}},
        "required": ["data"],
        "additionalProperties": False,
    },
}
_SERVED: Json = {
    "name": "mnist", "version": 1, "state": "served", "current": True, "pinned": False,
    "digest": "sha256:" + "5c" * 32, "reason": None,
}  # fmt: skip
_REFUSED: Json = {
    **_SERVED, "version": 2, "state": "refused", "current": False, "digest": None,
    "reason": "generator.onnx has not the digest that the manifest states",
}  # fmt: skip

_ALWAYS = ("invalid-input", "method-not-allowed", "unexpected")
_POSTED = ("malformed-json", "body-too-large")
_OF_MODEL = {
    "load": (
        "loadModel",
        "Serve a version",
        "Verifies, proves and loads the version that is named, also one that was unloaded.",
        ("unknown-model", "unusable-model"),
    ),
    "unload": (
        "unloadModel",
        "Serve a version no more",
        "Until it is loaded again. Neither the default model's last version nor a pinned one can be.",
        ("unknown-model", "model-conflict"),
    ),
    "pin": (
        "pinModel",
        "Keep a version current",
        "The name alone means the version that is named, or the one that it means now, whatever is loaded.",
        ("unknown-model", "model-conflict"),
    ),
    "unpin": (
        "unpinModel",
        "Let the highest version be current",
        "Answers with the version that the name means now.",
        ("unknown-model",),
    ),
    "rollback": (
        "rollBackModel",
        "Go back by one version",
        "Pins the version before the current one.",
        ("unknown-model", "model-conflict"),
    ),
}
_VERSIONED = frozenset({"load", "unload", "pin"})


def admin_paths(problems: ProblemResponses, protected: Sequence[str]) -> dict[str, Json]:
    """Return the path items of all routes; ``protected`` are the problems of routes that ask for a key."""

    def operation(name: str, summary: str, text: str, asked: list[Json], slugs: Sequence[str]) -> Json:
        listed = name in ("listStandings", "reloadModels")
        example = {"data": [_SERVED, _REFUSED]} if listed else _SERVED
        schema = ref("ModelStandings" if listed else "ModelStanding")
        content = {"schema": schema, "examples": {"example": {"summary": "As it stands", "value": example}}}
        answer = {
            "description": "How it stands now.",
            "headers": headers("Cache-Control"),
            "content": {_JSON: content},
        }
        return {
            "operationId": name,
            "tags": ["Administration"],
            "summary": summary,
            "description": text,
            "parameters": asked,
            "responses": {"200": answer, **problems.by_status([*_ALWAYS, *protected, *slugs])},
        }

    every = operation(
        "listStandings",
        "How every version stands",
        "Every version in the directory of models, also what is refused, and why.",
        parameters(),
        (),
    )
    now = operation(
        "reloadModels",
        "Look at the directory now",
        "Loads what is new, unloads what is gone, and tries again what was refused.",
        parameters(),
        _POSTED,
    )
    paths = {f"{ADMIN}/models": {"get": every}, f"{ADMIN}/reload": {"post": now}}
    for command, (name, summary, text, slugs) in _OF_MODEL.items():
        asked = parameters("Name", "Version") if command in _VERSIONED else parameters("Name")
        paths[f"{ADMIN}/models/{{name}}/{command}"] = {
            "post": operation(name, summary, text, asked, (*_POSTED, *slugs))
        }
    return paths
