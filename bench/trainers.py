"""Trainers to measure: each in a run directory of its own, which is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from training.config import RunConfig
from training.data import Dataset
from training.recipe_config import Recipe
from training.run import RunDirectory
from training.trainer import Trainer

NEVER_KIMG = 1e9
CPU = torch.device("cpu")


@contextmanager
def trainer_of(
    recipe: Recipe, dataset: Dataset, device: torch.device = CPU, **settings: float
) -> Iterator[Trainer]:
    """Yield a trainer of the recipe; ``settings`` are further ones of :class:`RunConfig`."""
    config = RunConfig(recipe=recipe, data=dataset.name, dataset_digest=dataset.digest, **settings)
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run")
        run.create(config)
        yield Trainer(config, dataset, run, device)


def same_settings(kept: dict[str, Any], recipe: Recipe) -> bool:
    """Tell whether a recipe that was written down is this one, whatever their summaries say."""
    return {**kept, "summary": ""} == {**recipe.model_dump(mode="json"), "summary": ""}
