"""The whole document, for the models and settings of the running service."""

from __future__ import annotations

from service.access.scopes import ANY_SCOPE
from service.http.guide import about
from service.http.model_view import describe_model
from service.http.openapi.admin_paths import ADMIN_SCHEMAS, admin_paths
from service.http.openapi.drawing_paths import drawing_paths
from service.http.openapi.events import event_schemas
from service.http.openapi.examples import drawing_examples
from service.http.openapi.headers import RATE, header_components, headers
from service.http.openapi.parameters import parameter_components
from service.http.openapi.problems import ProblemResponses
from service.http.openapi.reading_paths import ReadingPaths
from service.http.openapi.schemas import Json, component_schemas
from service.http.scopes import scope_of
from service.models.repository import Repository
from service.settings import Settings

OPENAPI_VERSION = "3.1.0"
API_VERSION = "0.1.0"

_KEY = "key"
_TAGS = {
    "Drawing": "Images and vectors, drawn as a body asks for them.",
    "Pictures": "Images by their address, which caches may keep.",
    "Models": "What is served.",
    "Administration": "For who decides what is served.",
    "Operation": "For who runs the service.",
    "Guide": "For who comes to look.",
}
_ABOUT = """Draws images, and vectors, from trained generators.

**Reproducible.** Every image is named by the model's digest, a seed, an index, class weights and a
truncation, and drawn again from these, alone or in a batch. Seeds and indices are whole numbers from 0 to
2^53 - 1.

**Errors** are `application/problem+json` (RFC 9457): `type` leads to a sentence of help, `detail` names the
field, its fault and what is allowed, `errors` points at each value. Any other path is 404 `unknown-route`.
Any other method is 405 with `Allow`. What is no HTTP at all is answered by the server itself, with 400 and a
line of text.

**HEAD** works wherever GET does: the same answer without its body.

**Every answer** has `X-Request-Id` and `Server-Timing`."""

_CROSS_ORIGIN = """

**Pages of other origins** may ask, as far as the service's operator allows: answers have the Access-Control-…
headers of the Fetch standard then, and OPTIONS answers a browser's question beforehand with 204."""


def build_document(repository: Repository, settings: Settings, assets: list[str]) -> Json:
    """Return the OpenAPI document; ``assets`` are the files of the page that shows it."""
    problems = ProblemResponses(repository, settings)
    protected = ("unauthorized", "forbidden", "rate-limited") if settings.asks_for_keys else ()
    default = describe_model(repository.resolve(None), repository)
    listed = {"data": [describe_model(repository.resolve(name), repository) for name in repository.names]}
    admin = admin_paths(problems, protected) if settings.asks_for_keys else {}
    host = f"http://localhost:3000{settings.root_path}"
    reading = ReadingPaths(problems, protected).items(listed, default, about(host))
    drawing = drawing_paths(drawing_examples(repository), problems, settings.max_body_bytes, protected)
    document: Json = {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Forger",
            "version": API_VERSION,
            "summary": "Images from trained generators, over HTTP.",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": settings.root_path or "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {**drawing, **reading, **admin},
        "components": {
            "schemas": component_schemas(repository) | event_schemas() | (ADMIN_SCHEMAS if admin else {}),
            "responses": problems.components,
            "parameters": parameter_components(repository, settings, assets),
            "headers": header_components(),
        },
    }
    if settings.cors_origins:
        document["info"]["description"] += _CROSS_ORIGIN
    if protected:
        _ask_for_keys(document)
    return document


def _ask_for_keys(document: Json) -> None:
    scheme = {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that the service's operator hands out. It is good for its scopes alone: "
        + ANY_SCOPE,
    }
    document["components"]["securitySchemes"] = {_KEY: scheme}
    for path, item in document["paths"].items():
        scope = scope_of(path)
        for operation in item.values() if scope is not None else ():
            operation["security"] = [{_KEY: [scope]}]
            operation["responses"] = {
                status: answer if "$ref" in answer else _with_rates(answer)
                for status, answer in operation["responses"].items()
            }


def _with_rates(answer: Json) -> Json:
    return {**answer, "headers": {**answer["headers"], **headers(of=RATE)}}
