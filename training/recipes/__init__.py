"""Named, complete configurations: one function a recipe, its sources in its docstring."""

from __future__ import annotations

from collections.abc import Callable

from training.config import Recipe
from training.errors import ConfigError
from training.recipes.classics import cgan, gaussian_1d, vanilla, vanilla_shallow
from training.recipes.conditional import acgan, biggan, r3gan, sagan
from training.recipes.convolutional import dcgan, wgan, wgan_gp
from training.recipes.recommended import default

RECIPES: dict[str, Callable[[], Recipe]] = {
    "default": default,
    "gaussian-1d": gaussian_1d,
    "vanilla-shallow": vanilla_shallow,
    "vanilla": vanilla,
    "cgan": cgan,
    "dcgan": dcgan,
    "wgan": wgan,
    "wgan-gp": wgan_gp,
    "acgan": acgan,
    "sagan": sagan,
    "biggan": biggan,
    "r3gan": r3gan,
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name; raises ``ConfigError`` listing the names there are."""
    if name not in RECIPES:
        listing = "; ".join(f"{known} ({build().summary})" for known, build in RECIPES.items())
        raise ConfigError(f"--recipe {name!r} is unknown; there are: {listing}. We recommend default.")
    return RECIPES[name]()
