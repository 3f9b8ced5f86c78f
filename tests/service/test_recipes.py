"""Recipes in pictures of several images: enough to draw them again, and never most of the file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from service.packaging.facts import MOST_RECIPES
from tests.fakes.site import LocalService


def recipe(service: LocalService, body: dict[str, Any]) -> dict[str, Any]:
    response = service.generate(body, accept="image/png")
    assert response.status_code == 200, response.text
    return json.loads(Image.open(io.BytesIO(response.content)).text["forger"])


def test_a_series_of_one_seed_is_told_by_its_first_and_its_number(service: LocalService) -> None:
    body = {"model": "vector", "seed": 3, "index": 7, "n": 65_536}
    written = recipe(service, body)
    assert "images" not in written
    assert {key: written[key] for key in body} == body
    spelled = [{"seed": 3, "index": index} for index in range(7, 12)]
    written = recipe(service, {"model": "vector", "latents": spelled})
    assert (written["seed"], written["index"], written["n"]) == (3, 7, 5)
    png = service.generate(body, accept="image/png").content
    assert len(png) < 20_000


def test_a_grid_of_one_class_is_a_series_and_one_of_several_is_a_list(service: LocalService) -> None:
    body = {"seed": 1, "n": 4, "layout": "grid"}
    one = recipe(service, {**body, "class_label": 2})
    assert (one["layout"], one["n"], one["class_weights"]) == ("grid", 4, {"two": 1.0})
    several = recipe(service, {**body, "class_label": "balanced"})
    assert [image["index"] for image in several["images"]] == [0, 1, 2, 3]
    assert [[*image["class_weights"]] for image in several["images"]] == [
        ["zero"], ["one"], ["two"], ["three"],
    ]  # fmt: skip


@pytest.mark.parametrize("count", [MOST_RECIPES, MOST_RECIPES + 1])
def test_other_pictures_tell_every_image_up_to_a_number(service: LocalService, count: int) -> None:
    written = recipe(service, {"model": "vector", "latents": [{"seed": seed} for seed in range(count)]})
    assert written["n"] == count
    assert "seed" not in written
    if count <= MOST_RECIPES:
        assert [image["seed"] for image in written["images"]] == [*range(count)]
    else:
        assert "images" not in written


@pytest.mark.parametrize("weights", [{"3": 1, "8": 1e-60}, {"3": 2, "8": 2e-60}, {"3": 1e300, "8": 1}])
def test_a_weight_that_is_nothing_to_the_graph_is_told_nowhere(
    service: LocalService, weights: dict[str, float]
) -> None:
    body = {"seed": 1, "class_label": weights}
    [item] = service.generate(body).json()["data"]
    assert item["class_label"] == {"index": 3, "name": "three", "weights": None}
    bare = service.generate(body, accept="image/png")
    assert bare.headers["x-class-label"] == "three"
    assert recipe(service, body)["class_weights"] == {"three": 1.0}
    assert bare.content == service.generate({"seed": 1, "class_label": 3}, accept="image/png").content
