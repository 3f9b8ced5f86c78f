"""The forms that sums and paths come in; any image of them can be drawn again from its file alone."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fakes.site import LocalService

MIXTURE = {"three": 0.3, "eight": 0.6, "1": 0.05}
IMAGE_MODELS = ["grey", "colour", "uniform", "sphere"]
LEVEL_OF_THE_GAP = 96


def sums(model: str) -> tuple[str, dict[str, Any]]:
    """Return a request for a result, its neighbours and its terms: of mixed classes and truncated."""
    labels = [{"class_label": one} if model == "grey" else {} for one in (MIXTURE, "two", 8)]
    terms = [
        {"weight": 1.3, "of": [{"seed": 1}, {"seed": 2, "index": 5}], **labels[0]},
        {"weight": -0.4, "of": [{"seed": 3}], **labels[1]},
        {"weight": 0.7, "of": [{"seed": 4}], **labels[2]},
    ]
    truncation = {} if model == "sphere" else {"truncation": {"mode": "scale", "value": 0.731}}
    return "/arithmetic", {
        "model": model,
        "terms": terms,
        "include_terms": True,
        "jitter": {"n": 3},
        **truncation,
    }


def path(model: str) -> tuple[str, dict[str, Any]]:
    """Return a request for a loop between mixtures of classes and between truncations."""
    mode = "scale" if model == "uniform" else "threshold"
    keyframes = []
    for seed, (value, label) in enumerate([(0.3, MIXTURE), (1.7, "random"), (0.9, {"8": 1, "nine": 2})]):
        keyframe: dict[str, Any] = {"latent": {"seed": seed, "index": 2 * seed}}
        keyframe |= {} if model == "sphere" else {"truncation": {"mode": mode, "value": value}}
        keyframes.append(keyframe | ({"class_label": label} if model == "grey" else {}))
    return "/interpolate", {"model": model, "keyframes": keyframes, "steps": 4, "loop": True}


def z_sums(model: str) -> tuple[str, dict[str, Any]]:
    route, body = sums(model)
    dim = 7 if model == "colour" else 4
    terms = [{**term, "of": [{"z": [0.1 + place] * dim}]} for place, term in enumerate(body["terms"])]
    return route, {key: value for key, value in body.items() if key != "truncation"} | {"terms": terms}


EVERY = pytest.mark.parametrize("asked", [sums, path, z_sums])
EVERY_MODEL = pytest.mark.parametrize("model", IMAGE_MODELS)


def items(service: LocalService, route: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = service.post(route, body)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def content(service: LocalService, route: str, body: dict[str, Any], accept: str) -> bytes:
    response = service.post(route, body, accept=accept)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].partition(";")[0] == accept
    return response.content


def pixels(png: bytes) -> np.ndarray:
    """Return a PNG's image, ``[H, W, C]``."""
    image = np.asarray(Image.open(io.BytesIO(png)))
    return image[..., np.newaxis] if image.ndim == 2 else image


def recipe(png: bytes) -> dict[str, Any]:
    return json.loads(Image.open(io.BytesIO(png)).text["forger"])


def redrawn(service: LocalService, facts: dict[str, Any], one: dict[str, Any]) -> np.ndarray:
    """Return the pixels that /generate draws of an image's recipe, ``facts`` being those of its file."""
    [key] = one.keys() & {"seed", "latent_b64", "z"}
    latent = {"seed": one["seed"], "index": one["index"]} if key == "seed" else {key: one[key]}
    body = {
        "model": f"{facts['model']}:{facts['version']}",
        "latents": [latent],
        "class_label": one["class_weights"],
        "truncation": one["truncation"],
    }
    return pixels(content(service, "/generate", body, "image/png"))


@EVERY_MODEL
@EVERY
def test_every_png_holds_the_recipe_that_draws_it_again(
    service: LocalService, asked: Any, model: str
) -> None:
    """Result, neighbours, terms, keyframes and what lies between them, to the bit."""
    route, body = asked(model)
    data = items(service, route, body)
    assert len(data) == (9 if asked is path else 7)
    for item in data:
        png = base64.b64decode(item["b64_json"])
        written = recipe(png)
        assert np.array_equal(redrawn(service, written, written), pixels(png))


@EVERY_MODEL
@EVERY
def test_the_same_request_draws_the_same_files(service: LocalService, asked: Any, model: str) -> None:
    route, body = asked(model)
    assert items(service, route, body) == items(service, route, body)


@EVERY_MODEL
@EVERY
def test_one_array_holds_all_images_in_the_order_of_data(
    service: LocalService, asked: Any, model: str
) -> None:
    route, body = asked(model)
    images = np.load(io.BytesIO(content(service, route, body, "application/x-npy")))
    data = items(service, route, body)
    assert images.dtype == np.uint8
    assert images.shape == (len(data), *((4, 9, 3) if model == "colour" else (6, 5, 1)))
    assert np.array_equal(images, [pixels(base64.b64decode(item["b64_json"])) for item in data])
    arrays = items(service, route, {**body, "output_format": "npy"})
    assert np.array_equal(images, [np.load(io.BytesIO(base64.b64decode(one["b64_json"]))) for one in arrays])


@EVERY
def test_an_archive_holds_a_file_and_a_line_for_each_item(service: LocalService, asked: Any) -> None:
    route, body = asked("grey")
    body["return_latents"] = True
    data = items(service, route, body)
    archive = zipfile.ZipFile(io.BytesIO(content(service, route, body, "application/zip")))
    names = [f"{number:06d}.png" for number in range(len(data))]
    assert sorted(archive.namelist()) == [*names, "manifest.jsonl"]
    for name, item in zip(names, data, strict=True):
        assert archive.read(name) == base64.b64decode(item.pop("b64_json"))
    assert [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()] == data


@EVERY_MODEL
@EVERY
def test_a_grid_shows_every_image_and_tells_how_to_draw_each(
    service: LocalService, asked: Any, model: str
) -> None:
    route, body = asked(model)
    images = np.load(io.BytesIO(content(service, route, body, "application/x-npy")))
    count, height, width, channels = images.shape
    body["layout"] = "grid"
    [item] = items(service, route, body)
    png = base64.b64decode(item["b64_json"])
    grid, written = pixels(png), recipe(png)
    assert grid.shape == (3 * height + 4, 3 * width + 4, channels)
    assert (item["role"], len(item["items"])) == ("grid", count)
    roles = ["frame"] * 9 if asked is path else ["result", *["neighbour"] * 3, *["term"] * 3]
    assert [one["role"] for one in item["items"]] == roles
    for image, one, told in zip(images, item["items"], written["images"], strict=True):
        top, left = one["row"] * (height + 2), one["column"] * (width + 2)
        assert np.array_equal(grid[top : top + height, left : left + width], image)
        assert np.array_equal(redrawn(service, written, told), image)
    assert set(grid[height].ravel()) == {LEVEL_OF_THE_GAP}
    assert pixels(content(service, route, body, "image/png")).tolist() == grid.tolist()


@EVERY
def test_a_bare_image_needs_one_item_or_a_grid(service: LocalService, asked: Any) -> None:
    route, body = asked("grey")
    for media_type in ("image/png", "image/jpeg"):
        assert service.post(route, body, accept=media_type).status_code == 406
        assert content(service, route, {**body, "layout": "grid"}, media_type)
    alone = {**sums("grey")[1], "include_terms": False, "jitter": None}
    [item] = items(service, "/arithmetic", alone)
    assert content(service, "/arithmetic", alone, "image/png") == base64.b64decode(item["b64_json"])


@EVERY
@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
def test_items_come_in_the_format_asked_for(service: LocalService, asked: Any, file_format: str) -> None:
    route, body = asked("colour")
    data = items(service, route, {**body, "output_format": file_format})
    for item in data:
        picture = Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))
        assert (item["content_type"], picture.format) == (f"image/{file_format}", file_format.upper())
        assert picture.size == (9, 4)


@EVERY
def test_a_stream_tells_every_item_in_order(service: LocalService, asked: Any) -> None:
    route, body = asked("grey")
    text = content(service, route, body, "text/event-stream").decode()
    events = [event.split("\ndata: ", 1) for event in text.removesuffix("\n\n").split("\n\n")]
    data = items(service, route, body)
    assert [name for name, _ in events] == ["event: image"] * len(data) + ["event: done"]
    assert [json.loads(told) for _, told in events[:-1]] == data


def test_vectors_of_sums_and_paths_come_in_every_form(service: LocalService) -> None:
    """A vector model of one dimension: values, one array, one histogram of all."""
    keyframes = [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}]
    ways = {
        "/arithmetic": sums("vector")[1],
        "/interpolate": {"model": "vector", "keyframes": keyframes, "method": "match"},
    }
    for route, body in ways.items():
        data = items(service, route, body)
        values = np.load(io.BytesIO(content(service, route, body, "application/x-npy")))
        assert values.dtype == np.float32
        assert np.array_equal(values, np.array([item["values"] for item in data], np.float32))
        [histogram] = items(service, route, {**body, "output_format": "png"})
        assert (histogram["role"], len(histogram["items"])) == ("histogram", len(data))
        archive = zipfile.ZipFile(io.BytesIO(content(service, route, body, "application/zip")))
        assert [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()] == data
