"""POST /generate: what is drawn, and in which form, for every way to ask."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.parse import unquote

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from contract.latents import Prior, Truncation, graph_input, random_class, standard_normal
from contract.pixels import image_batch_to_pixels
from service.encoding import class_cells
from tests.fakes.models import CONDITIONAL, DIGITS, SPHERE, UNIFORM, VECTOR, FakeModel
from tests.fakes.site import LocalService


def oracle(
    service: LocalService,
    fake: FakeModel,
    latent: np.ndarray,
    weights: np.ndarray | None = None,
    truncation: Truncation | None = None,
) -> np.ndarray:
    """Return what the model draws, by the contract's maths and a session of the test's own."""
    path = service.runtime.settings.models_dir / fake.name / "1" / "generator.onnx"
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    feed = {"latent": graph_input(latent, fake.prior, truncation)}
    if weights is not None:
        feed["class_weights"] = weights.astype(np.float32)
    output = session.run(None, feed)[0]
    return output if fake is VECTOR else image_batch_to_pixels(output)


def one_hot(*classes: int) -> np.ndarray:
    return np.eye(len(DIGITS), dtype=np.float32)[list(classes)]


def draw(service: LocalService, body: object, **headers: str) -> dict[str, Any]:
    response = service.generate(body, **headers)
    assert response.status_code == 200, response.text
    return response.json()


def array(service: LocalService, body: object) -> np.ndarray:
    """Return the rows of an answer as application/x-npy."""
    response = service.generate(body, accept="application/x-npy")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-npy"
    return np.load(io.BytesIO(response.content))


def pixels(item: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))))


def recipe(png: bytes) -> dict[str, Any]:
    return json.loads(Image.open(io.BytesIO(png)).text["forger"])


def test_an_empty_body_draws_one_image_of_a_seed_that_draws_it_again(service: LocalService) -> None:
    first = service.request("POST", "/generate").json()
    [item] = first["data"]
    assert (first["model"], first["version"], first["rng"]) == ("grey", 1, "philox4x32-10/icdf-v1")
    assert first["id"].startswith("gen_")
    assert item["role"] == "sample"
    assert item["content_type"] == "image/png"
    again = draw(service, {"seed": item["seed"], "index": item["index"]})
    assert again["data"] == first["data"]


def test_seeds_are_drawn_anew_when_none_is_given(service: LocalService) -> None:
    assert len({draw(service, {})["data"][0]["seed"] for _ in range(5)}) == 5


def test_images_are_the_contracts_latents_through_the_model(service: LocalService) -> None:
    drawn = array(service, {"seed": 7, "index": 3, "n": 5, "class_label": 2})
    latent = standard_normal([7] * 5, range(3, 8), CONDITIONAL.dim)
    assert np.array_equal(drawn, oracle(service, CONDITIONAL, latent, one_hot(2, 2, 2, 2, 2)))


@pytest.mark.parametrize(
    ("class_label", "classes"),
    [
        (3, [3, 3, 3, 3]),
        ("three", [3, 3, 3, 3]),
        ("balanced", [8, 9, 0, 1]),
        ([3, "four", {"five": 2}, {"6": 1}], [3, 4, 5, 6]),
        (["balanced", 0, "balanced", 0], [8, 0, 0, 0]),
    ],
)
def test_class_labels_choose_the_classes(
    service: LocalService, class_label: object, classes: list[int]
) -> None:
    body = {"seed": 5, "index": 8, "n": 4, "class_label": class_label}
    latent = standard_normal([5] * 4, range(8, 12), CONDITIONAL.dim)
    assert np.array_equal(array(service, body), oracle(service, CONDITIONAL, latent, one_hot(*classes)))
    labels = [item["class_label"] for item in draw(service, body)["data"]]
    assert labels == [{"index": k, "name": DIGITS[k], "weights": None} for k in classes]


@pytest.mark.parametrize("body", [{}, {"class_label": "random"}, {"class_label": None}])
def test_random_classes_follow_the_contract_and_are_the_default(
    service: LocalService, body: dict[str, Any]
) -> None:
    answer = draw(service, {"seed": 9, "index": 2, "n": 20, **body})
    expected = random_class([9] * 20, range(2, 22), 10).tolist()
    assert [item["class_label"]["index"] for item in answer["data"]] == expected
    assert len(set(expected)) > 3


def test_a_mixture_feeds_normalized_weights(service: LocalService) -> None:
    body = {"seed": 1, "class_label": {"3": 3, "eight": 1}}
    weights = 0.75 * one_hot(3) + 0.25 * one_hot(8)
    latent = standard_normal([1], [0], CONDITIONAL.dim)
    assert np.array_equal(array(service, body), oracle(service, CONDITIONAL, latent, weights))
    [item] = draw(service, body)["data"]
    assert item["class_label"] == {"index": None, "name": None, "weights": {"three": 0.75, "eight": 0.25}}


@pytest.mark.parametrize("truncation", [{"mode": "threshold", "value": 0.5}, {"mode": "scale", "value": 0}])
def test_truncation_acts_on_the_latent(service: LocalService, truncation: dict[str, Any]) -> None:
    body = {"seed": 4, "class_label": 0, "truncation": truncation}
    latent = standard_normal([4], [0], CONDITIONAL.dim)
    expected = oracle(service, CONDITIONAL, latent, one_hot(0), Truncation(**truncation))
    assert np.array_equal(array(service, body), expected)


@pytest.mark.parametrize("fake", [UNIFORM, SPHERE])
def test_every_prior_is_applied(service: LocalService, fake: FakeModel) -> None:
    latent = standard_normal([3, 3], [0, 1], fake.dim)
    drawn = array(service, {"model": fake.name, "seed": 3, "n": 2})
    assert np.array_equal(drawn, oracle(service, fake, latent))


def test_every_kind_of_latent_reference_means_the_same_latent(service: LocalService) -> None:
    latent = standard_normal([6], [2], CONDITIONAL.dim)
    references = [
        {"seed": 6, "index": 2},
        {"latent": latent[0].tolist()},
        {"latent_b64": base64.b64encode(latent.astype("<f4").tobytes()).decode()},
    ]
    drawn = array(service, {"latents": references, "class_label": 1})
    z = array(service, {"latents": [{"z": latent[0].tolist()}], "class_label": 1})
    expected = oracle(service, CONDITIONAL, latent, one_hot(1))[0]
    assert all(np.array_equal(one, expected) for one in [*drawn, *z])


def test_z_goes_to_the_graph_as_it_is(service: LocalService) -> None:
    """Under a uniform prior, a z is not mapped as a canonical latent is."""
    z = [0.5, -0.25, 0.125, 2.0]
    drawn = array(service, {"model": "uniform", "latents": [{"z": z}]})
    as_if_normal = FakeModel("uniform", prior=Prior.NORMAL)
    assert np.array_equal(drawn, oracle(service, as_if_normal, np.array([z], np.float32)))
    latent = array(service, {"model": "uniform", "latents": [{"latent": z}]})
    assert not np.array_equal(drawn, latent)


def test_returned_latents_are_canonical_and_draw_the_image_again(service: LocalService) -> None:
    body = {"seed": 8, "truncation": {"mode": "scale", "value": 0.5}, "class_label": 4}
    [item] = draw(service, {**body, "return_latents": True})["data"]
    latent = np.frombuffer(base64.b64decode(item["latent_b64"]), "<f4")
    assert np.array_equal(latent, standard_normal([8], [0], CONDITIONAL.dim)[0])
    assert draw(service, body)["data"][0]["latent_b64"] is None
    from_latent = {**body, "latents": [{"latent_b64": item["latent_b64"]}]}
    del from_latent["seed"]
    assert np.array_equal(array(service, from_latent), array(service, body))
    [graph_input_item] = draw(
        service, {"latents": [{"z": [0, 0, 0, 0]}], "class_label": 0, "return_latents": True}
    )["data"]
    assert graph_input_item["latent_b64"] is None


@pytest.mark.parametrize("model", ["grey", "colour"])
@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp", "npy"])
def test_each_format_holds_the_image(service: LocalService, model: str, file_format: str) -> None:
    body = {"model": model, "seed": 2, "output_format": file_format, "quality": 100}
    [item] = draw(service, body)["data"]
    expected = array(service, {"model": model, "seed": 2})[0]
    content = base64.b64decode(item["b64_json"])
    if file_format == "npy":
        assert item["content_type"] == "application/x-npy"
        assert np.array_equal(np.load(io.BytesIO(content)), expected)
        return
    assert item["content_type"] == f"image/{file_format}"
    picture = Image.open(io.BytesIO(content))
    assert picture.format == file_format.upper()
    decoded = np.asarray(picture.convert("L" if model == "grey" else "RGB")).reshape(expected.shape)
    if file_format == "png":
        assert np.array_equal(decoded, expected)
    else:
        assert np.abs(decoded.mean() - expected.mean()) < 12


def test_quality_changes_the_size(service: LocalService) -> None:
    sizes = [
        len(service.generate({"model": "colour", "seed": 2, "quality": q}, accept="image/jpeg").content)
        for q in (5, 95)
    ]
    assert sizes[0] < sizes[1]


def test_accept_gives_the_bare_image_with_its_facts_in_headers(service: LocalService) -> None:
    response = service.generate({"seed": 3, "index": 4, "class_label": "seven"}, accept="image/png")
    [item] = draw(service, {"seed": 3, "index": 4, "class_label": "seven"})["data"]
    assert response.headers["content-type"] == "image/png"
    assert response.content == base64.b64decode(item["b64_json"])
    facts = {name: response.headers[name] for name in ("x-seed", "x-index", "x-class-label", "x-model")}
    assert facts == {"x-seed": "3", "x-index": "4", "x-class-label": "seven", "x-model": "grey"}
    assert response.headers["x-model-digest"] == service.runtime.repository.resolve("grey").digest


def test_a_mixtures_header_is_percent_encoded(service: LocalService) -> None:
    response = service.generate({"class_label": {"one": 1, "two": 3}}, accept="image/png")
    assert json.loads(unquote(response.headers["x-class-label"])) == {"one": 0.25, "two": 0.75}
    assert '"' not in response.headers["x-class-label"]


def test_a_png_carries_the_recipe_that_draws_it_again(service: LocalService) -> None:
    body = {
        "seed": 5,
        "index": 6,
        "class_label": {"one": 0.3, "two": 0.6, "nine": 0.2},
        "truncation": {"mode": "threshold", "value": 0.7},
    }
    png = service.generate(body, accept="image/png").content
    assert png.index(b"tEXtforger\0") < png.index(b"IDAT")
    written = recipe(png)
    assert written["model_digest"] == service.runtime.repository.resolve("grey").digest
    again = {
        "model": f"{written['model']}:{written['version']}",
        "seed": written["seed"],
        "index": written["index"],
        "class_label": written["class_weights"],
        "truncation": written["truncation"],
    }
    assert service.generate(again, accept="image/png").content == png


@pytest.mark.parametrize("kind", ["latent", "z"])
def test_the_recipe_of_an_explicit_latent_draws_it_again(service: LocalService, kind: str) -> None:
    body = {"latents": [{kind: [0.1, 2.5, -3.25, 0.7]}], "class_label": 5}
    png = service.generate(body, accept="image/png").content
    written = recipe(png)
    assert "seed" not in written
    key = "z" if kind == "z" else "latent_b64"
    again = {"latents": [{key: written[key]}], "class_label": written["class_weights"]}
    assert service.generate(again, accept="image/png").content == png


def test_a_grid_shows_every_image_in_rows_of_classes(service: LocalService) -> None:
    body = {"seed": 1, "n": 25, "class_label": "balanced", "layout": "grid"}
    [item] = draw(service, body)["data"]
    images = array(service, {**body, "layout": "list"})
    grid = pixels(item)
    assert item["role"] == "grid"
    assert grid.shape == (10 * 8 - 2, 3 * 7 - 2)
    for place, shown in enumerate(item["items"]):
        row, column = shown["row"], shown["column"]
        assert row == shown["class_label"]["index"] == place % 10
        cell = grid[row * 8 : row * 8 + 6, column * 7 : column * 7 + 5]
        assert np.array_equal(cell, images[place, :, :, 0])
    response = service.generate(body, accept="image/png")
    assert response.content == base64.b64decode(item["b64_json"])
    assert array(service, body).shape == (1, *grid.shape, 1)


def test_a_grid_of_other_labels_is_about_square(service: LocalService) -> None:
    [item] = draw(service, {"n": 7, "layout": "grid", "model": "colour"})["data"]
    assert [(one["row"], one["column"]) for one in item["items"]] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0),
    ]  # fmt: skip
    assert item["class_label"] is None


def test_class_cells_leave_no_row_empty() -> None:
    assert class_cells([7, 3, 7, 7]) == [(1, 0), (0, 0), (1, 1), (1, 2)]


def test_vectors_come_as_json_values(service: LocalService) -> None:
    answer = draw(service, {"model": "vector", "seed": 3, "n": 4})
    expected = oracle(service, VECTOR, standard_normal([3] * 4, range(4), 1))
    values = np.array([item["values"] for item in answer["data"]], np.float32)
    assert np.array_equal(values, expected)
    assert [item["index"] for item in answer["data"]] == [0, 1, 2, 3]
    assert {item["class_label"] for item in answer["data"]} == {None}
    assert np.array_equal(array(service, {"model": "vector", "seed": 3, "n": 4}), expected)


def test_many_vectors_are_drawn_in_one_request(service: LocalService) -> None:
    many = array(service, {"model": "vector", "seed": 3, "n": 65_536})
    assert many.shape == (65_536, 2)
    [late] = array(service, {"model": "vector", "seed": 3, "index": 50_000})
    assert np.array_equal(many[50_000], late)


def test_vectors_as_png_are_one_histogram(service: LocalService) -> None:
    body = {"model": "vector", "seed": 3, "n": 300}
    response = service.generate(body, accept="image/png")
    assert Image.open(io.BytesIO(response.content)).size == (640, 400)
    [item] = draw(service, {**body, "output_format": "png"})["data"]
    assert item["role"] == "histogram"
    assert len(item["items"]) == 300


def test_vectors_as_npy_items(service: LocalService) -> None:
    items = draw(service, {"model": "vector", "seed": 3, "n": 2, "output_format": "npy"})["data"]
    rows = [np.load(io.BytesIO(base64.b64decode(item["b64_json"]))) for item in items]
    assert np.array_equal(np.stack(rows), array(service, {"model": "vector", "seed": 3, "n": 2}))


def test_a_row_is_the_same_alone_and_among_64(service: LocalService) -> None:
    for model in ("grey", "colour", "sphere", "uniform"):
        together = service.generate({"model": model, "seed": 42, "n": 64}).json()["data"]
        for place in (0, 1, 31, 32, 63):
            [alone] = draw(service, {"model": model, "seed": 42, "index": place})["data"]
            assert alone == together[place]


def test_non_finite_output_is_the_requests_own_fault(service: LocalService) -> None:
    body = {"model": "fragile", "latents": [{"z": [1234.0, 0, 0, 0]}, {"z": [0, 0, 0, 0]}]}
    response = service.generate(body)
    assert response.status_code == 500
    assert response.json()["type"] == "/problems/model-output"
    assert service.generate({"model": "fragile", "n": 3}).status_code == 200


def test_null_is_as_if_absent(service: LocalService) -> None:
    fields = ("model", "n", "seed", "index", "latents", "class_label", "truncation", "output_format")
    settings = ("quality", "layout", "return_latents")
    nulls = dict.fromkeys((*fields, *settings))
    [item] = draw(service, nulls)["data"]
    assert (item["role"], item["content_type"], item["latent_b64"]) == ("sample", "image/png", None)
    reference = {"seed": 4, "index": None, "latent": None, "latent_b64": None, "z": None}
    assert draw(service, {**nulls, "latents": [reference]})["data"] == draw(service, {"seed": 4})["data"]
    jpeg = [
        service.generate({"seed": 1, **more}, accept="image/jpeg").content
        for more in ({}, nulls | {"seed": 1})
    ]
    assert jpeg[0] == jpeg[1]


def test_timings_are_told(service: LocalService) -> None:
    response = service.generate({"n": 3})
    timings = response.json()["timings"]
    assert timings["batch_rows"] >= 1
    assert min(timings["queue_ms"], timings["inference_ms"], timings["encode_ms"]) >= 0
    stages = [stage.partition(";")[0] for stage in response.headers["server-timing"].split(", ")]
    assert stages == ["queue", "inference", "encode", "total"]


def test_the_classes_of_several_images_stand_in_a_header(service: LocalService) -> None:
    """An array has no place for them; a mixture has no index, and one class for all is told by its name."""
    npy = "application/x-npy"
    balanced = service.generate({"n": 12, "class_label": "balanced"}, accept=npy)
    assert balanced.headers["x-class-indices"] == "0,1,2,3,4,5,6,7,8,9,0,1"
    random = service.generate({"n": 12, "seed": 5}, accept=npy).headers["x-class-indices"].split(",")
    stated = service.generate({"n": 12, "seed": 5}).json()["data"]
    assert [int(index) for index in random] == [item["class_label"]["index"] for item in stated]
    mixed = service.generate({"n": 2, "class_label": [1, {"one": 1, "two": 1}]}, accept=npy)
    alike = service.generate({"n": 2, "class_label": 1}, accept=npy)
    for response in (mixed, alike, service.generate({"model": "colour", "n": 2}, accept=npy)):
        assert "x-class-indices" not in response.headers
    assert alike.headers["x-class-label"] == "one"
