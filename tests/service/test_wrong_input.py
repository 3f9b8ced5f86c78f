"""Wrong requests: the right status, a sentence that names the field and what is allowed, nothing inner."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from service.http.problems import PROBLEMS, UNEXPECTED
from tests.fakes.site import LocalService

MAX = 2**53 - 1


def b64(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def refused(service: LocalService, status: int, body: object, **headers: str) -> dict[str, Any]:
    response = service.generate(body, **headers)
    assert response.status_code == status, response.text
    return problem(response)


def problem(response: Any) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["instance"] == response.request.url.path
    assert {"type", "title", "detail"} <= document.keys()
    assert "Traceback" not in response.text
    assert "/work" not in response.text
    assert ".py" not in response.text
    return document


WRONG_VALUES: list[tuple[object, str, str]] = [
    ([], "#", "JSON object"),
    ("text", "#", "JSON object"),
    ({"colour": 1}, "#/colour", "allowed: model, "),
    ({"a/b~c": 1}, "#/a~1b~0c", "unknown key"),
    ({'a%b "ü#': None}, "#/a%25b%20%22%C3%BC%23", "unknown key"),
    ({"class_label": {"é": 1}}, "#/class_label/%C3%A9", "no class"),
    ({"n": 0}, "#/n", "at least 1"),
    ({"n": -1}, "#/n", "at least 1"),
    ({"n": 65}, "#/n", "a whole number from 1 to 64 (images a request), not 65"),
    ({"n": 10**30}, "#/n", "a whole number from 1 to 64 (images a request)"),
    ({"n": True}, "#/n", "whole number"),
    ({"n": 1.5}, "#/n", "whole number"),
    ({"n": "1"}, "#/n", "whole number"),
    ({"model": "vector", "n": 65_537}, "#/n", "a whole number from 1 to 65536 (vectors a request)"),
    ({"seed": -1}, "#/seed", "at least 0"),
    ({"seed": MAX + 1}, "#/seed", f"at most {MAX}"),
    ({"seed": False}, "#/seed", "whole number"),
    ({"seed": "7"}, "#/seed", "whole number"),
    ({"index": MAX, "n": 2}, "#/index", f"at most {MAX}"),
    ({"index": -1}, "#/index", "at least 0"),
    ({"model": 3}, "#/model", "string"),
    ({"class_label": 10}, "#/class_label", "index from 0 to 9"),
    ({"class_label": -1}, "#/class_label", "index from 0 to 9"),
    ({"class_label": 10**40}, "#/class_label", "index from 0 to 9"),
    ({"class_label": True}, "#/class_label", "index from 0 to 9"),
    ({"class_label": 1.0}, "#/class_label", "index from 0 to 9"),
    ({"class_label": "ten"}, "#/class_label", "zero, one, two"),
    ({"class_label": "3"}, "#/class_label", "zero, one, two"),
    ({"class_label": "Sieben \u4e03"}, "#/class_label", "Sieben \u4e03"),
    ({"class_label": {}}, "#/class_label", "at least one class"),
    ({"class_label": {"3": 0, "4": 0}}, "#/class_label", "above 0"),
    ({"class_label": {"3": -0.5, "4": 1}}, "#/class_label/3", "a number from 0 to 1e300, not -0.5"),
    ({"class_label": {"3": "a"}}, "#/class_label/3", "a number from 0 to 1e300"),
    ({"class_label": {"3": True}}, "#/class_label/3", "a number from 0 to 1e300, not true"),
    ({"class_label": {"3": 1e308}}, "#/class_label/3", "a number from 0 to 1e300, not 1e+308"),
    ({"class_label": {"11": 1}}, "#/class_label/11", "index from 0 to 9"),
    ({"class_label": {"three": 1, "3": 1}}, "#/class_label/3", "twice"),
    ({"class_label": {"random": 1}}, "#/class_label/random", "no class"),
    ({"n": 2, "class_label": [1]}, "#/class_label", "one entry for each image"),
    ({"n": 2, "class_label": [1, 99]}, "#/class_label/1", "index from 0 to 9"),
    ({"n": 1, "class_label": [[1]]}, "#/class_label/0", "a list is no class"),
    ({"model": "colour", "class_label": 1}, "#/class_label", "no classes"),
    ({"model": "colour", "class_label": "random"}, "#/class_label", "no classes"),
    (
        {"truncation": 0.7},
        "#/truncation",
        'must be {"mode": "threshold" or "scale", "value": a number}: equal',
    ),
    ({"truncation": {"mode": "threshold"}}, "#/truncation/value", "required"),
    ({"truncation": {"value": 1}}, "#/truncation/mode", "required"),
    ({"truncation": {"mode": "psi", "value": 1}}, "#/truncation/mode", "'threshold' or 'scale'"),
    ({"truncation": {"mode": "threshold", "value": 0}}, "#/truncation/value", "above 0 and at most 5, not 0"),
    ({"truncation": {"mode": "threshold", "value": 5.1}}, "#/truncation/value", "at most 5, not 5.1"),
    ({"truncation": {"mode": "scale", "value": -0.1}}, "#/truncation/value", "from 0 to 2, not -0.1"),
    ({"truncation": {"mode": "scale", "value": True}}, "#/truncation/value", "finite number"),
    ({"truncation": {"mode": "scale", "value": 1, "x": 1}}, "#/truncation/x", "allowed: mode, value"),
    (
        {"model": "uniform", "truncation": {"mode": "threshold", "value": 1}},
        "#/truncation/mode",
        "allowed: scale",
    ),
    ({"model": "sphere", "truncation": {"mode": "scale", "value": 1}}, "#/truncation/mode", "leave"),
    ({"latents": []}, "#/latents", "a list of 1 to 64 (images a request), not 0"),
    ({"latents": {"seed": 1}}, "#/latents", "list"),
    ({"latents": [{}]}, "#/latents/0", "object with one of"),
    ({"latents": [3]}, "#/latents/0", "object with one of"),
    ({"latents": [{"seed": 1, "z": [1, 2, 3, 4]}]}, "#/latents/0", "object with one of"),
    ({"latents": [{"seed": 1, "extra": 1}]}, "#/latents/0/extra", "allowed: seed, index"),
    ({"latents": [{"seed": 1, "index": -1}]}, "#/latents/0/index", "at least 0"),
    ({"latents": [{"seed": 1}], "seed": 1}, "#/seed", "cannot be combined with latents"),
    ({"latents": [{"seed": 1}], "n": 1}, "#/n", "cannot be combined with latents"),
    ({"latents": [{"seed": 1}] * 65}, "#/latents", "1 to 64 (images a request), not 65"),
    ({"latents": [3] * 65}, "#/latents", "1 to 64 (images a request), not 65"),
    ({"latents": [{"latent": [1, 2, 3]}], "class_label": 1}, "#/latents/0/latent", "have 4"),
    ({"latents": [{"latent": [1, 2, 3, "4"]}]}, "#/latents/0/latent/3", "finite number"),
    ({"latents": [{"latent": [1, 2, 3, True]}]}, "#/latents/0/latent/3", "finite number"),
    ({"latents": [{"latent": [1, 2, 3, 10001]}]}, "#/latents/0/latent/3", "at most 10000"),
    ({"latents": [{"latent": [1, 2, 3, None]}]}, "#/latents/0/latent/3", "finite number"),
    ({"latents": [{"latent_b64": "!!"}], "class_label": 1}, "#/latents/0/latent_b64", "not base64"),
    ({"latents": [{"latent_b64": b64(1, 2)}], "class_label": 1}, "#/latents/0/latent_b64", "are 16"),
    (
        {"latents": [{"latent_b64": b64(1, 2, 3, float("nan"))}], "class_label": 1},
        "#/latents/0/latent_b64",
        "finite",
    ),
    (
        {"latents": [{"latent_b64": b64(1, 2, 3, 2e4)}], "class_label": 1},
        "#/latents/0/latent_b64",
        "at most 10000",
    ),
    ({"latents": [{"latent": [1, 2, 3, 4]}]}, "#/class_label", "a class_label is needed; give an index"),
    ({"latents": [{"z": [1, 2, 3, 4]}], "class_label": None}, "#/class_label", "a class_label is needed"),
    (
        {"latents": [{"latent": []}], "class_label": 1},
        "#/latents/0/latent",
        "0 numbers; this model's latents have 4",
    ),
    ({"latents": [{"seed": 1}, None]}, "#/latents/1", "object with one of"),
    ({"latents": [{"seed": None}]}, "#/latents/0", "object with one of"),
    ({"latents": [{"seed": 1, "x": None}]}, "#/latents/0/x", "unknown key"),
    ({"latents": [3] * 65, "model": 3}, "#/model", "a string, not 3"),
    ({"n": 2, "class_label": [1, None]}, "#/class_label/1", "null is no class"),
    ({"latents": [{"latent": [1, 2, 3, 4]}], "class_label": "balanced"}, "#/class_label", "has one"),
    (
        {"latents": [{"z": [1, 2, 3, 4]}, {"seed": 1}], "class_label": 1},
        "#/latents/1",
        "cannot be mixed",
    ),
    (
        {
            "latents": [{"z": [1, 2, 3, 4]}],
            "class_label": 1,
            "truncation": {"mode": "scale", "value": 1},
        },
        "#/truncation",
        "cannot be combined with z",
    ),
    ({"model": "sphere", "latents": [{"latent": [0, 0, 0, 0]}]}, "#/latents/0", "no direction"),
    ({"output_format": "gif"}, "#/output_format", "'png', 'jpeg', 'webp', 'npy' or 'json'"),
    ({"output_format": "json"}, "#/output_format", "allows png, jpeg, webp, npy"),
    ({"model": "vector", "output_format": "jpeg"}, "#/output_format", "allows json, npy, png"),
    ({"model": "vector", "layout": "grid"}, "#/layout", "no grid"),
    ({"layout": "pile"}, "#/layout", "'list' or 'grid'"),
    ({"quality": 0}, "#/quality", "at least 1"),
    ({"quality": 101}, "#/quality", "at most 100"),
    ({"return_latents": 1}, "#/return_latents", "true or false"),
]


@pytest.mark.parametrize(("body", "pointer", "sentence"), WRONG_VALUES)
def test_wrong_values_are_422_and_named(
    service: LocalService, body: object, pointer: str, sentence: str
) -> None:
    document = refused(service, 422, body)
    assert document["type"] == "/problems/invalid-input"
    assert pointer in [fault["pointer"] for fault in document["errors"]]
    assert sentence in document["detail"]


def test_several_faults_are_told_at_once(service: LocalService) -> None:
    document = refused(service, 422, {"n": 0, "seed": -1, "x": 1})
    assert {fault["pointer"] for fault in document["errors"]} == {"#/n", "#/seed", "#/x"}


MALFORMED: list[tuple[bytes, str]] = [
    (b"{", "line 1"),
    (b'{"seed": 1,}', "line 1"),
    (b"{'seed': 1}", "line 1"),
    (b'{"seed": NaN}', "NaN is not JSON"),
    (b'{"seed": -Infinity}', "-Infinity is not JSON"),
    (b'{"seed": 1, "n": 1, "seed": 2}', '"seed" occurs more than once'),
    (b'{"class_label": {"3": 1, "3": 1}}', '"3" occurs more than once'),
    (b'{"model": "\xff"}', "UTF-8"),
    (b'{"model": "\\ud800"}', "surrogate"),
    (b'{"\\udfff": 1}', "surrogate"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"class_label": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    (b"{" + b",".join(b'"%d": 1' % i for i in range(20_000)) + b"}", "more than 16384 keys"),
    (b"seed=1", "line 1"),
    (b"\x00", "line 1"),
]


@pytest.mark.parametrize(("body", "sentence"), MALFORMED)
def test_what_is_not_json_is_400(service: LocalService, body: bytes, sentence: str) -> None:
    response = service.request("POST", "/generate", content=body)
    assert response.status_code == 400
    assert sentence in problem(response)["detail"]


@pytest.mark.parametrize(
    "body",
    [b'{"seed": %s}' % (b"9" * 5000), b'{"seed": 1e400}', b'{"class_label": {"3": 1e999}}'],
)
def test_numbers_too_large_for_any_field_are_422(service: LocalService, body: bytes) -> None:
    response = service.request("POST", "/generate", content=body)
    assert response.status_code == 422
    problem(response)


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        (b'"n": %s', "n: must be a whole number from 1 to 64 (images a request), not "),
        (b'"seed": %s', f"seed: must be at most {MAX}, not "),
        (b'"class_label": {"3": %s}', "class_label.3: a weight must be a number from 0 to 1e300, not "),
    ],
)
@pytest.mark.parametrize("digits", [309, 400, 5000])
def test_integers_of_any_length_are_told_what_is_allowed_and_echoed_in_short(
    service: LocalService, field: bytes, allowed: str, digits: int
) -> None:
    response = service.request("POST", "/generate", content=b"{" + field % (b"8" * digits) + b"}")
    assert response.status_code == 422
    assert problem(response)["detail"] == f"{allowed}{'8' * 60}…"


@pytest.mark.parametrize("depth", [90, 500])
def test_deep_values_that_parse_are_422(service: LocalService, depth: int) -> None:
    body = b'{"class_label": ' + b"[" * depth + b"]" * depth + b"}"
    response = service.request("POST", "/generate", content=body)
    assert response.status_code == 422
    problem(response)


def test_surrogate_pairs_and_negative_zero_are_fine(service: LocalService) -> None:
    pair = service.request("POST", "/generate", content=b'{"model": "\\ud83d\\ude00"}')
    assert pair.status_code == 404
    assert "\U0001f600" in problem(pair)["detail"]
    zero = service.request("POST", "/generate", content=b'{"seed": -0, "class_label": 1}')
    assert zero.json()["data"][0]["seed"] == 0


@pytest.mark.parametrize("model", ["nope", "grey:2", "grey:x", "grey:", "", "../grey", "a" * 10_000])
def test_unknown_models_are_404_and_the_known_are_listed(service: LocalService, model: str) -> None:
    document = refused(service, 404, {"model": model})
    assert document["type"] == "/problems/unknown-model"
    assert "grey" in document["detail"]
    assert len(document["detail"]) < 400


@pytest.mark.parametrize("label", ["application/json", "application/json; charset=utf-8", "text/plain"])
def test_these_labels_are_read_as_json(service: LocalService, label: str) -> None:
    form = "application/x-www-form-urlencoded"
    for content_type in (label, form, "application/vnd.forger+json"):
        response = service.request(
            "POST", "/generate", content=b'{"seed": 5}', headers={"content-type": content_type}
        )
        assert response.json()["data"][0]["seed"] == 5
    unlabelled = service.request("POST", "/generate", content=b'{"seed": 5}')
    assert unlabelled.status_code == 200


@pytest.mark.parametrize("label", ["text/xml", "multipart/form-data; boundary=x", "image/png", "json"])
def test_other_labels_are_415(service: LocalService, label: str) -> None:
    response = service.request("POST", "/generate", content=b"{}", headers={"content-type": label})
    assert response.status_code == 415
    assert "application/json" in problem(response)["detail"]


def test_compressed_bodies_are_415(service: LocalService) -> None:
    response = service.request("POST", "/generate", content=b"{}", headers={"content-encoding": "gzip"})
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("body", "accept"),
    [
        ({}, "text/html"),
        ({}, "image/gif"),
        ({}, "application/gzip"),
        ({}, "application/json;q=0"),
        ({"n": 2}, "image/png"),
        ({"output_format": "jpeg"}, "image/png"),
        ({"output_format": "png"}, "application/x-npy"),
        ({"model": "vector"}, "image/jpeg"),
        ({"model": "vector", "output_format": "json"}, "image/png"),
    ],
)
def test_what_cannot_be_made_is_406(service: LocalService, body: object, accept: str) -> None:
    document = refused(service, 406, body, accept=accept)
    assert "application/json" in document["detail"]


@pytest.mark.parametrize("value", ["0", "-1", "30001", "abc", "1.5", "", "9" * 50])
def test_a_wrong_timeout_header_is_422(service: LocalService, value: str) -> None:
    document = refused(service, 422, {}, **{"x-timeout-ms": value})
    assert document["errors"] == [{"header": "X-Timeout-Ms", "detail": document["detail"]}]
    assert "from 1 to 30000" in document["detail"]


def test_every_problem_has_a_page_of_help(service: LocalService) -> None:
    for entry in [*PROBLEMS.values(), UNEXPECTED]:
        page = service.get(entry.type)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert entry.help.split(",", maxsplit=1)[0] in page.text
    assert service.get("/problems/none").status_code == 404
