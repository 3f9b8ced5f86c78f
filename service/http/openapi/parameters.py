"""The parameters of requests, in path, query and headers, as components of the document."""

from __future__ import annotations

from contract.latents import MAX_SEED, TRUNCATION_MODES
from service.http.openapi.schemas import DIGEST_PATTERN, Json, ref
from service.http.problems import BY_SLUG
from service.models.repository import Repository
from service.models.served import ServedModel
from service.settings import Settings

_ONCE = "Each parameter may be given once, and unknown ones are refused."
_NUMBER = r"[0-9]{1,20}(\.[0-9]{1,20})?"


def parameter_components(repository: Repository, settings: Settings, assets: list[str]) -> dict[str, Json]:
    """Return every parameter; ``assets`` are the files of the page that shows the document."""
    return {**_headers(settings), **_path(repository, assets), **_query(repository)}


def parameters(*names: str) -> list[Json]:
    """Return the parameters of one operation: those of every operation, and the ones named."""
    return [ref(name, "parameters") for name in (*names, "RequestId", "TraceParent")]


def _headers(settings: Settings) -> dict[str, Json]:
    return {
        "RequestId": _parameter(
            "header",
            "X-Request-Id",
            "A name for this request, which the answer and the service's log repeat: 1 to 128 characters of "
            "`A-Z a-z 0-9 . _ -`. Anything else is replaced by a new one.",
            {"type": "string"},
            "my-request.1",
        ),
        "TraceParent": _parameter(
            "header",
            "traceparent",
            "The trace that this request belongs to (W3C Trace Context); the service's log names it. "
            "Anything malformed is as if absent.",
            {"type": "string"},
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        "TimeoutMs": _parameter(
            "header",
            "X-Timeout-Ms",
            f"The milliseconds after which the answer is of no more use: 504 then. {settings.deadline_ms} if "
            "absent, and at most.",
            {"type": "integer", "minimum": 1, "maximum": settings.deadline_ms},
            min(5000, settings.deadline_ms),
        ),
        "IfNoneMatch": _parameter(
            "header",
            "If-None-Match",
            "ETags of the copies that the client has; 304 if the current one is among them.",
            {"type": "string"},
            f'"sha256:{"5e" * 32}"',
        ),
    }


def _path(repository: Repository, assets: list[str]) -> dict[str, Json]:
    seed = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
    reference, meaning = ref("ModelReference"), "The model, `name` or `name:version`"
    named: dict[str, tuple[str, Json, object]] = {
        "model": (f"{meaning}; it must draw images.", reference, pictured_model(repository).name),
        "name": (f"{meaning}.", reference, repository.default),
        "seed": ("The seed.", seed, 42),
        "index": ("The image's index in the seed.", seed, 0),
        "slug": (
            "The end of a problem's `type`.",
            {"type": "string", "enum": list(BY_SLUG)},
            "invalid-input",
        ),
        "asset": ("A file of the page.", {"type": "string", "enum": assets}, assets[0]),
    }
    return {
        name.title(): {**_parameter("path", name, description, schema, example), "required": True}
        for name, (description, schema, example) in named.items()
    }


def _query(repository: Repository) -> dict[str, Json]:
    default, pictured = repository.resolve(None), pictured_model(repository)
    classes, modes = pictured.manifest.classes, TRUNCATION_MODES[pictured.manifest.latent.prior]
    asked: dict[str, tuple[str, str, Json, object]] = {
        "Version": (
            "version",
            "The version; the current one if absent.",
            {"type": "integer", "minimum": 1, "maximum": 999_999_999},
            default.version,
        ),
        "Digest": _digest(default),
        "ImageDigest": _digest(pictured),
        "Class": (
            "class",
            (
                "The class, by name or index, or as the image's seed (random) or index (balanced) decides; "
                "absent, random. Refused for a model without classes."
            ),
            {"type": "string", "minLength": 1},
            classes[-1] if classes else None,
        ),
        "LinkTruncation": (
            "truncation",
            (
                "`threshold:T` with T in (0, 5], or `scale:S` with S from 0 to 2, as far as the model's "
                "prior has the mode."
            ),
            {"type": "string", "pattern": f"^(threshold|scale):{_NUMBER}$"},
            f"{modes[0]}:0.7" if modes else None,
        ),
    }
    return {
        name: _parameter("query", key, f"{description} {_ONCE}", schema, example)
        for name, (key, description, schema, example) in asked.items()
    }


def _digest(model: ServedModel) -> tuple[str, str, Json, object]:
    return (
        "digest",
        (
            "The model's digest. With it the answer never changes, and may be kept for ever; 409 if the "
            "model has another by now."
        ),
        {"type": "string", "pattern": DIGEST_PATTERN},
        model.digest,
    )


def pictured_model(repository: Repository) -> ServedModel:
    """Return the model that examples of image links name: the default one if it draws images."""
    default = repository.resolve(None)
    return next((model for model in (default, *repository.all()) if model.is_image), default)


def _parameter(where: str, name: str, description: str, schema: Json, example: object) -> Json:
    parameter = {"name": name, "in": where, "description": description, "schema": schema}
    return parameter if example is None else {**parameter, "example": example}
