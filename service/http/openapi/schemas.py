"""The components/schemas of the document: bodies and answers, with the limits of what is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from contract.latents import MAX_SCALE, MAX_THRESHOLD
from contract.layout import NAME_PATTERN
from service.http.openapi.answers import ANSWERS
from service.models.repository import Repository
from service.requests.bodies import (
    ArithmeticRequest,
    GenerateRequest,
    InterpolateRequest,
    Jitter,
    Keyframe,
    Term,
)
from service.requests.references import REFERENCES, Strict

Json: TypeAlias = dict[str, Any]

BODIES: tuple[type[Strict], ...] = (GenerateRequest, ArithmeticRequest, InterpolateRequest)
MODEL_PATTERN = f"{NAME_PATTERN[:-1]}(?::[1-9][0-9]{{0,8}})?$"
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"

_SHOWN = 20
"""Of more models, or classes, than this a description names only the first."""

_NULL: Json = {"type": "null"}
_STRICT: tuple[type[Strict], ...] = (*BODIES, Term, Jitter, Keyframe, *REFERENCES.values())
_MOST_LABEL_WEIGHT = 1e300
_LABELS = {
    "GenerateRequest": (
        "ClassLabels",
        "Absent, each image's seed draws one; latents without a seed need one.",
    ),
    "ArithmeticRequest": ("ClassLabels", "Absent, the terms' labels are summed as their latents are."),
    "Term": ("ClassLabel", "What this term shows; on all terms or on none. Neither random nor balanced."),
    "Keyframe": ("ClassLabel", "On all keyframes or on none; absent, each seed draws one."),
}


def ref(name: str, kind: str = "schemas") -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _nullable(schema: Json) -> Json:
    """Return the schema with null allowed besides, as one list of types or of values where that can be."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one != _NULL]
    values = [one.get("enum", [one["const"]] if "const" in one else []) for one in kinds]
    if all(values):
        return {"type": ["string", "null"], "enum": [*(value for listed in values for value in listed), None]}
    if len(kinds) == 1 and "type" in kinds[0]:
        return {**kinds[0], "type": [kinds[0]["type"], "null"]}
    return {"anyOf": [*kinds, _NULL]}


def component_schemas(repository: Repository) -> dict[str, Json]:
    """Return all named schemas, for the models that are served."""
    schemas = _generated()
    for kind in _STRICT:
        _null_is_absent(kind, schemas[kind.__name__])
    for name, kind in REFERENCES.items():
        _other_kinds_absent(name, schemas[kind.__name__]["properties"])
    del schemas["Truncation"]
    schemas |= {
        "LatentReference": {
            "description": "A latent, named in one of four ways.",
            "oneOf": [ref(kind.__name__) for kind in REFERENCES.values()],
        },
        "ModelReference": _model_reference(repository),
        **_class_labels(repository),
        **_truncations(),
    }
    _use_shared(schemas)
    _limit(schemas, repository)
    return dict(sorted(schemas.items()))


def _generated() -> dict[str, Json]:
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((kind, "validation") for kind in BODIES),
        *((kind, "serialization") for kind in ANSWERS),
    ]
    _, document = models_json_schema(asked, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Json] = document["$defs"]
    for schema in schemas.values():
        for one in _objects(schema):
            # A title made of the key says nothing that the key does not.
            if isinstance(one.get("title"), str):
                del one["title"]
            if isinstance(one.get("description"), str):
                one["description"] = one["description"].replace("``", "`")
    bodies = {kind.__name__ for kind in _STRICT}
    for name, schema in schemas.items():
        schema["title"] = name
        if name not in bodies and "properties" in schema:
            # An answer has all its keys, also those that its class could do without.
            schema["required"] = list(schema["properties"])
    return schemas


def _objects(schema: object) -> Iterator[Json]:
    """Yield every JSON object inside a schema, the outermost first."""
    if isinstance(schema, dict):
        yield schema
        for value in list(schema.values()):
            yield from _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _objects(value)


def _null_is_absent(kind: type[Strict], schema: Json) -> None:
    """Allow null for every key that may be absent: bodies treat the two alike."""
    properties = schema["properties"]
    for name in kind.model_fields:
        if name not in schema.get("required", ()):
            described = properties[name].pop("description", None)
            default = properties[name].pop("default", None)
            properties[name] = _nullable(properties[name])
            properties[name] |= {} if described is None else {"description": described}
            properties[name] |= {} if default is None else {"default": default}


def _other_kinds_absent(name: str, properties: dict[str, Json]) -> None:
    """Allow null for the keys of the other kinds of reference: they are as if absent."""
    for other in (*REFERENCES, "index"):
        properties.setdefault(other, dict(_NULL))
    if name == "latent_b64":
        properties[name] |= {"contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}


def _use_shared(schemas: dict[str, Json]) -> None:
    """Replace what the bodies spell out, or leave open, by the named schemas."""
    for body in BODIES:
        model = schemas[body.__name__]["properties"]["model"]
        described = {"description": model["description"]}
        schemas[body.__name__]["properties"]["model"] = {**described, "anyOf": [ref("ModelReference"), _NULL]}
    for name, (label, description) in _LABELS.items():
        labelled: Json = {"description": description, "anyOf": [ref(label), _NULL]}
        schemas[name]["properties"]["class_label"] = labelled
    for name in ("GenerateRequest", "ArithmeticRequest", "Keyframe"):
        schemas[name]["properties"]["truncation"] = {"anyOf": [ref("Truncation"), _NULL]}
    reference = ref("LatentReference")
    schemas["GenerateRequest"]["properties"]["latents"]["items"] = reference
    schemas["Term"]["properties"]["of"]["items"] = reference
    latent = schemas["Keyframe"]["properties"]["latent"]
    schemas["Keyframe"]["properties"]["latent"] = {"description": latent["description"], **reference}


def _limit(schemas: dict[str, Json], repository: Repository) -> None:
    """Write the limits of the served models into the bodies: what is beyond all of them is always refused."""
    models = repository.all()
    rows = max(model.max_rows for model in models)
    dims = [model.manifest.latent.dim for model in models]
    by_model = ", ".join(f"{model.max_rows} of {model.name}:{model.version}" for model in models[:_SHOWN])
    dims_by_model = ", ".join(
        f"{model.manifest.latent.dim} of {model.name}:{model.version}" for model in models[:_SHOWN]
    )
    generate = schemas["GenerateRequest"]["properties"]
    generate["n"]["maximum"] = rows
    generate["latents"] |= {"minItems": 1, "maxItems": rows}
    schemas["Jitter"]["properties"]["n"]["maximum"] = rows
    frames = max(model.max_frames for model in models)
    schemas["InterpolateRequest"]["properties"]["steps"]["maximum"] = frames
    for kind, key in (("LatentRef", "latent"), ("GraphInputRef", "z")):
        schemas[kind]["properties"][key] |= {"minItems": min(dims), "maxItems": max(dims)}
        schemas[kind]["properties"][key]["description"] += f" Dimensions: {dims_by_model}."
    for described in (generate["n"], generate["latents"], schemas["Jitter"]["properties"]["n"]):
        described["description"] += f" At most {by_model}."


def _model_reference(repository: Repository) -> Json:
    served = repository.names + [f"{model.name}:{model.version}" for model in repository.all()]
    return {
        "description": "`name` means a model's current version, `name:version` that version; GET /models "
        "lists them. The first list is what is served now, the second form what may be served one day.",
        "anyOf": [{"type": "string", "enum": served}, {"type": "string", "pattern": MODEL_PATTERN}],
        "examples": [repository.default],
    }


def _class_labels(repository: Repository) -> dict[str, Json]:
    models = repository.all()
    named = [model for model in models if model.manifest.classes is not None]
    known = {model.name: list((model.manifest.classes or ())[:_SHOWN]) for model in named}
    spelled = (
        "; ".join(f"{name}: {', '.join(classes)}" for name, classes in known.items()) or "no model has any"
    )
    weight = {"type": "number", "minimum": 0, "maximum": _MOST_LABEL_WEIGHT}
    single = [
        {"type": "integer", "minimum": 0, "description": "A class by its index."},
        {
            "type": "string",
            "description": "A class by its name; or random, which each image's seed draws; or balanced, "
            "which is the image's index modulo the number of classes.",
        },
        {
            "type": "object",
            "description": "A mixture: weights by class name, or by index as a string; normalised to sum 1.",
            "minProperties": 1,
            "additionalProperties": weight,
        },
    ]
    listed = {
        "type": "array",
        "description": "One entry for each image.",
        "items": ref("ClassLabel"),
        "minItems": 1,
    }
    return {
        "ClassLabel": {
            "title": "ClassLabel",
            "description": f"What an image shows. Classes: {spelled}. Refused for a model without classes.",
            "anyOf": single,
        },
        "ClassLabels": {
            "title": "ClassLabels",
            "description": "What the images show: the same label for all, or one for each.",
            "anyOf": [ref("ClassLabel"), listed],
        },
    }


def _truncations() -> dict[str, Json]:
    values: Mapping[str, Json] = {
        "threshold": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": MAX_THRESHOLD,
            "description": "t: each element is a normal truncated to (-t, t).",
        },
        "scale": {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_SCALE,
            "description": "psi: the graph's input is multiplied with it.",
        },
    }
    kinds = {
        f"{mode.title()}Truncation": {
            "title": f"{mode.title()}Truncation",
            "type": "object",
            "properties": {"mode": {"const": mode, "type": "string"}, "value": value},
            "required": ["mode", "value"],
            "additionalProperties": False,
        }
        for mode, value in values.items()
    }
    choice: Json = {
        "title": "Truncation",
        "description": "Less spread for more typical images. The model's prior decides which modes there "
        "are: see truncation_modes of GET /models.",
        "oneOf": [ref(name) for name in kinds],
    }
    return {"Truncation": choice, **kinds}
