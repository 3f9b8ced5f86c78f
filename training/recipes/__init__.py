"""Named, complete configurations: one function a recipe, its sources in its docstring."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from training.errors import ConfigError
from training.recipe_config import Recipe
from training.recipes.classics import cgan, gaussian_1d, vanilla, vanilla_shallow
from training.recipes.conditional import acgan, biggan, r3gan, sagan
from training.recipes.convolutional import dcgan, wgan, wgan_gp
from training.recipes.recommended import default

RECOMMENDATION = (
    "We recommend default: it takes labels or none, needs few images, and averages its weights, so that\n"
    "what is exported is steady. The others are here to learn from and to compare with."
)

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
        near = get_close_matches(name, RECIPES, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"--recipe {name!r} is unknown; {meant}There are: {', '.join(RECIPES)}. We recommend default; "
            "python -m training recipes says what each is."
        )
    return RECIPES[name]()


def listing() -> str:
    """Return all recipes, a line each, and which one we recommend and why."""
    width = max(len(name) for name in RECIPES)
    lines = [f"  {name:{width}}  {build().summary}" for name, build in RECIPES.items()]
    return "\n".join([*lines, "", RECOMMENDATION])
