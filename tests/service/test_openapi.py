"""The API's document: it is valid OpenAPI, complete, and true of the service that serves it."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic.json_schema import GenerateJsonSchema

from contract.manifest import VectorOutput
from service.http.openapi.document import API_VERSION
from service.http.openapi.problems import all_slugs
from service.http.openapi.served import ServedDocument, ServedFile
from service.http.problems import BY_SLUG
from tests.fakes.models import COLOUR, VECTOR, write_models
from tests.fakes.reader import Reader
from tests.fakes.site import LocalService, local_service

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = ("grey", "colour", "uniform", "sphere", "vector")
KEY = "a-key-for-these-tests"
IMAGE = "/images/{model}/{seed}/{index}.png"


@pytest.fixture(scope="module", params=DEFAULTS)
def site(request: pytest.FixtureRequest, models_dir: Path) -> Iterator[LocalService]:
    """A service for every kind of default model: with and without classes, images and vectors."""
    with local_service(models_dir, default_model=request.param) as running:
        yield running


@pytest.fixture
def reader(site: LocalService) -> Reader:
    return Reader.of(site)


def test_it_is_valid_openapi(reader: Reader) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(reader.document).iter_errors()] == []
    for schema in reader.document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_has_every_route_and_method_and_no_other(service: LocalService) -> None:
    """HEAD goes without saying: it is wherever GET is."""
    routes = {
        (route.path, method.lower())
        for route in service.edge._routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(path, method) for path, method, _ in Reader.of(service).operations()} == routes


def test_every_operation_has_a_name_of_its_own(service: LocalService) -> None:
    names = [operation["operationId"] for _, _, operation in Reader.of(service).operations()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in names)


def test_every_path_parameter_is_described(service: LocalService) -> None:
    reader = Reader.of(service)
    for path, _, operation in reader.operations():
        described = [reader.resolved(part) for part in operation["parameters"]]
        in_path = {part["name"] for part in described if part["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))


def test_every_problem_that_a_client_may_meet_is_described_with_an_example(models_dir: Path) -> None:
    with local_service(models_dir, default_model="grey", api_keys=KEY) as site:
        responses = Reader.of(site).document["components"]["responses"].values()
    examples = {
        name: example["value"]
        for response in responses
        for name, example in response["content"]["application/problem+json"]["examples"].items()
    }
    assert set(examples) == set(all_slugs())
    for slug, example in examples.items():
        assert (example["type"], example["status"]) == (BY_SLUG[slug].type, BY_SLUG[slug].status)


def test_every_example_agrees_with_its_schema(reader: Reader) -> None:
    components = reader.document["components"]
    contents: list[tuple[str, dict[str, Any]]] = [
        ("", content) for part in ("headers", "parameters") for content in components[part].values()
    ]
    for response in components["responses"].values():
        contents += response["content"].items()
    for _, _, operation in reader.operations():
        contents += operation.get("requestBody", {}).get("content", {}).items()
        for part in operation["responses"].values():
            contents += reader.resolved(part).get("content", {}).items()
    seen = 0
    for media_type, content in contents:
        examples = [example["value"] for example in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        for example in examples:
            is_stream = media_type == "text/event-stream"
            found = reader.stream_faults(example) if is_stream else reader.faults(content["schema"], example)
            assert found == []
            seen += 1
    assert seen > 80


@pytest.mark.parametrize("accept", ["application/json", "application/zip", "text/event-stream"])
def test_every_example_of_a_body_is_drawn_as_the_document_says(
    site: LocalService, reader: Reader, accept: str
) -> None:
    for path, name, body in reader.bodies():
        answer = site.post(path, body, accept=accept)
        assert answer.status_code == 200, (name, answer.text)
        assert answer.headers["content-type"].startswith(accept)
        assert reader.refused(path, "post", answer) == [], name


def test_every_picture_is_of_a_media_type_in_the_document(service: LocalService) -> None:
    reader = Reader.of(service)
    path = {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}]}
    asked = [
        *(("/generate", {"seed": 1}, kind) for kind in ("png", "jpeg", "webp", "x-npy")),
        *(("/interpolate", path, kind) for kind in ("gif", "webp", "x-npy")),
    ]
    for route, body, kind in asked:
        media_type = f"application/{kind}" if kind == "x-npy" else f"image/{kind}"
        answer = service.post(route, body, accept=media_type)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert reader.refused(route, "post", answer) == []


@pytest.mark.parametrize(
    ("default", "least"),
    [("grey", (14, 6, 7)), ("colour", (10, 5, 6)), ("sphere", (8, 4, 5)), ("vector", (8, 5, 3))],
)
def test_examples_show_what_the_default_model_can_do(
    models_dir: Path, default: str, least: tuple[int, ...]
) -> None:
    with local_service(models_dir, default_model=default) as site:
        paths = [path for path, _, _ in Reader.of(site).bodies()]
    counts = [paths.count(path) for path in ("/generate", "/arithmetic", "/interpolate")]
    assert all(count >= bound for count, bound in zip(counts, least, strict=True)), counts


def test_every_route_that_is_read_answers_as_the_document_says(site: LocalService, reader: Reader) -> None:
    """Alone, and with the example of each of its parameters."""
    for path, method, operation in reader.operations():
        if method == "get":
            for url, options in calls(reader, path, operation):
                answer = site.get(url, **options)
                assert (answer.status_code, reader.refused(path, method, answer)) == (200, []), (url, options)


def calls(reader: Reader, path: str, operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    described = [reader.resolved(part) for part in operation["parameters"]]
    url = path.format(**{part["name"]: part["example"] for part in described if part["in"] == "path"})
    yield url, {}
    for part in described:
        if part["in"] != "path" and "example" in part:
            where = "params" if part["in"] == "query" else "headers"
            yield url, {where: {part["name"]: str(part["example"])}}


def test_refusals_and_the_like_are_as_the_document_says(service: LocalService) -> None:
    reader = Reader.of(service)
    other_digest = f"/images/grey/1/2.png?digest=sha256:{'0' * 64}"
    asked = [
        ("/generate", service.generate({"n": 0}), 422),
        ("/generate", service.generate({"model": "none"}), 404),
        ("/generate", service.generate({}, accept="text/csv"), 406),
        ("/generate", service.generate({}, x_timeout_ms="0"), 422),
        ("/generate", service.request("POST", "/generate", content=b"{"), 400),
        ("/generate", service.request("POST", "/generate", files={"a": b"b"}), 415),
        ("/generate", service.request("POST", "/generate", content=bytes(9_000_000)), 413),
        ("/arithmetic", service.post("/arithmetic", {"terms": []}), 422),
        ("/interpolate", service.post("/interpolate", {}), 422),
        ("/models", service.get("/models?a=b"), 422),
        ("/models/{name}", service.get("/models/none"), 404),
        ("/models/{name}", service.request("DELETE", "/models/grey"), 405),
        ("/models/{name}", service.get("/models/grey?version=0"), 422),
        (IMAGE, service.get("/images/grey/1/2.png?digest=sha256:a"), 422),
        (IMAGE, service.get(other_digest), 409),
        (IMAGE, service.get("/images/grey/1/2.png", headers={"if-none-match": "*"}), 304),
        ("/problems/{slug}", service.get("/problems/none"), 404),
        ("/docs/{asset}", service.get("/docs/none"), 404),
        ("/", service.get("/", headers={"accept": "text/html"}), 302),
        ("/openapi.json", service.get("/openapi.json", headers={"if-none-match": "*"}), 304),
    ]
    for path, answer, status in asked:
        (method,) = reader.document["paths"][path]
        assert (answer.status_code, reader.refused(path, method, answer)) == (status, []), path


def test_limits_are_those_of_the_running_service(models_dir: Path) -> None:
    limits = {"max_images": 5, "max_vectors": 7, "max_frames": 11, "deadline_ms": 1234}
    with local_service(models_dir, max_body_bytes=4321, **limits) as site:
        document = Reader.of(site).document
    schemas = document["components"]["schemas"]
    assert schemas["GenerateRequest"]["properties"]["n"]["maximum"] == 7
    assert schemas["InterpolateRequest"]["properties"]["steps"]["maximum"] == 11
    assert document["components"]["parameters"]["TimeoutMs"]["schema"]["maximum"] == 1234
    assert "4,321 bytes" in document["paths"]["/generate"]["post"]["description"]


def test_examples_fit_the_narrowest_limits(models_dir: Path) -> None:
    with local_service(models_dir, max_images=1, max_vectors=1, max_frames=2) as site:
        for path, name, body in Reader.of(site).bodies():
            assert site.post(path, body).status_code == 200, name


def test_keys_are_asked_for_where_the_document_says_so(models_dir: Path) -> None:
    with local_service(models_dir, default_model="grey", api_keys=KEY) as site:
        reader = Reader.of(site)
        for path, method, operation in reader.operations():
            (url, options), *_ = calls(reader, path, operation)
            answer = site.request(method.upper(), url, **options)
            assert (answer.status_code == 401) is ("security" in operation), path
            assert reader.refused(path, method, answer) == []


def test_without_keys_the_document_has_none(service: LocalService) -> None:
    assert "401" not in str(Reader.of(service).document["paths"]["/generate"]["post"]["responses"].keys())
    assert "securitySchemes" not in Reader.of(service).document["components"]


def test_the_server_is_the_path_prefix(models_dir: Path, service: LocalService) -> None:
    with local_service(models_dir, root_path="/gan/v1") as site:
        document = Reader(site.get("/gan/v1/openapi.json").json()).document
    assert document["servers"] == [{"url": "/gan/v1"}]
    told = document["components"]["responses"]["invalid-input"]["content"]["application/problem+json"]
    assert told["examples"]["invalid-input"]["value"]["type"] == "/gan/v1/problems/invalid-input"
    assert Reader.of(service).document["servers"] == [{"url": "/"}]


def test_it_is_built_once_and_no_schema_after_it(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise AssertionError("a schema was generated")

    with local_service(models_dir, default_model="grey") as site:
        first = site.get("/openapi.json")
        monkeypatch.setattr(GenerateJsonSchema, "__init__", fail)
        again = site.get("/openapi.json")
        assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
        for path, _, body in Reader.of(site).bodies():
            assert site.post(path, body).status_code == 200
        known = site.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")


def test_it_is_the_same_in_every_process(models_dir: Path) -> None:
    """Workers behind one address answer with one document."""
    documents = []
    for _ in range(2):
        with local_service(models_dir, default_model="grey") as site:
            documents.append(site.get("/openapi.json").content)
    first, second = documents
    differ = next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    assert differ is None, (first[differ - 400 : differ + 200], second[differ - 400 : differ + 200])
    assert len(first) == len(second)


def test_a_service_of_vectors_alone_has_a_sound_document(tmp_path: Path) -> None:
    with local_service(write_models(tmp_path, [VECTOR])) as site:
        reader = Reader.of(site)
        assert list(OpenAPIV31SpecValidator(reader.document).iter_errors()) == []


def test_large_outputs_do_not_make_it_long(tmp_path: Path) -> None:
    models = [replace(VECTOR, output=VectorOutput(size=60_000)), replace(COLOUR, dim=3000)]
    with local_service(write_models(tmp_path, models), default_model="vector") as site:
        assert len(site.get("/openapi.json").content) < 1_500_000


def test_who_asks_while_it_is_built_waits_for_it() -> None:
    built = []

    def build() -> dict[str, Any]:
        built.append(1)
        return {"n": len(built)}

    async def ask() -> list[ServedFile]:
        document = ServedDocument(build)
        return await asyncio.gather(*(document.file() for _ in range(8)))

    assert {file.content for file in asyncio.run(ask())} == {b'{"n":1}'}
    assert built == [1]


def test_its_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == API_VERSION
