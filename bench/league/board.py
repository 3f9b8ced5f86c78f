"""What is compared: a data set, its recipes, and how much each may compute."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from training.recipe_config import Recipe
from training.recipes import RECIPES, recipe_named

RESULTS = Path(__file__).parent.parent / "results" / "league"
TOY = "gaussian-1d"


@dataclass(frozen=True)
class Board:
    """One table: a data set, CPU minutes a run, and seeds ``0`` to ``seeds - 1``."""

    data: str
    minutes: float
    seeds: int

    @property
    def name(self) -> str:
        """The board's name, of which its files are made."""
        return f"{self.data}-{self.minutes:g}min"

    @property
    def results(self) -> Path:
        """Where its raw results lie."""
        return RESULTS / self.name

    @property
    def recipes(self) -> list[str]:
        """The recipes that can be trained on this data, the recommended one first."""
        return [name for name in RECIPES if (name == TOY) == (self.data == "gaussian")]


BOARDS = (Board("mnist5k", 5, 3), Board("digits", 2, 3), Board("gaussian", 0.5, 3))
"""What ``make league`` plays: handwriting, the smallest images, and the toy by its own figures."""


def settled(name: str) -> tuple[Recipe, str]:
    """Return a recipe and the digest of its settings, by which results are known to be of it.

    Its length of training is left out: the league sets that.
    """
    recipe = recipe_named(name)
    settings = recipe.model_dump_json(exclude={"total_kimg", "summary"})
    return recipe, "sha256:" + hashlib.sha256(settings.encode()).hexdigest()
