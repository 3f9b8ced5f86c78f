"""Drawing an image again from its own file, and seeing whether it is the same.

A PNG that the service made carries its recipe in a text chunk named ``forger``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from forger.errors import BadAnswer, Misuse
from forger.results import RECIPE_CHUNK


@dataclass(frozen=True)
class Replay:
    """What came of drawing an image again."""

    recipe: Mapping[str, Any]
    digest: str
    """The model's digest now."""
    largest_difference: int
    """The most levels by which a pixel differs, 0 to 255: 0 on the machine that drew it first."""

    @property
    def is_same_model(self) -> bool:
        """Whether the model is the one that drew it."""
        return bool(self.digest == self.recipe["model_digest"])

    @property
    def is_same(self) -> bool:
        """Whether every pixel is the same."""
        return self.largest_difference == 0


def recipe_in(path: str | Path) -> dict[str, Any]:
    """Return the recipe in a PNG; raises ``Misuse`` if there is none."""
    try:
        with Image.open(path) as image:
            text = getattr(image, "text", {}).get(RECIPE_CHUNK)
    except (OSError, UnidentifiedImageError) as error:
        raise Misuse(f"{path} cannot be read as an image: {error}") from error
    if text is None:
        raise Misuse(f"{path} carries no recipe: it is no PNG as the service makes it")
    try:
        recipe = json.loads(text)
    except ValueError as error:
        raise Misuse(f"the recipe in {path} cannot be read") from error
    if not isinstance(recipe, dict) or not {"model", "version", "model_digest"} <= recipe.keys():
        raise Misuse(f"the recipe in {path} cannot be read")
    return recipe


def body_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of ``POST /generate`` that draws what a recipe describes.

    Raises ``Misuse`` for a picture of several images, unless they follow one another in one seed, all alike.
    """
    body: dict[str, Any] = {"model": f"{recipe['model']}:{recipe['version']}"}
    for field in ("layout", "truncation"):
        if recipe.get(field) is not None:
            body[field] = recipe[field]
    if recipe.get("class_weights") is not None:
        body["class_label"] = recipe["class_weights"]
    if recipe.get("seed") is not None:
        return body | {"seed": recipe["seed"], "index": recipe.get("index", 0), "n": recipe.get("n", 1)}
    for latent in ("latent_b64", "z"):
        if latent in recipe:
            return body | {"latents": [{latent: recipe[latent]}]}
    raise Misuse("this is a picture of several images: its recipe tells how to draw each of them again")


def largest_difference(path: str | Path, png: bytes) -> int:
    """Return the most levels by which two images differ; 255 if they are not of the same size."""
    try:
        with Image.open(io.BytesIO(png)) as here:
            other = np.asarray(here, np.int16)
    except (OSError, UnidentifiedImageError) as error:
        raise BadAnswer(f"the image that came cannot be decoded: {error}") from error
    with Image.open(path) as there:
        one = np.asarray(there, np.int16)
    return 255 if one.shape != other.shape else int(np.abs(one - other).max(initial=0))
