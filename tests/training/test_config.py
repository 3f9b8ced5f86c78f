"""Settings are typed; a wrong one names its key and what is allowed."""

from __future__ import annotations

import pytest

from training.errors import ConfigError
from training.recipe_config import override
from training.recipes import RECIPES, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_know_their_own_name_and_survive_their_file(name: str) -> None:
    recipe = recipe_named(name)
    assert recipe.name == name
    assert type(recipe).model_validate_json(recipe.model_dump_json()) == recipe


def test_settings_replace_values_at_any_depth() -> None:
    recipe = override(
        recipe_named("default"),
        ["batch_size=8", "networks.generator_channels=16", "precision=bf16", "latent.prior=sphere"],
    )
    assert recipe.batch_size == 8
    assert recipe.networks.generator_channels == 16
    assert recipe.precision == "bf16"
    assert recipe.latent.prior == "sphere"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch_size", "key=value"),
        ("batchsize=8", "no such setting.*batch_size"),
        ("networks.depth=8", "generator_channels"),
        ("latent.dim.x=8", "no such setting"),
        ("batch_size=many", "batch_size.*integer.*'many'"),
        ("batch_size=1", "batch_size.*greater than or equal to 2"),
        ("loss=mystery", "loss.*hinge"),
        ("latent.dim=0", "latent.dim"),
    ],
)
def test_wrong_settings_are_explained(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(recipe_named("default"), [setting])


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"default.*vanilla.*recommend"):
        recipe_named("stylegan9")
