"""How many images a second of one CPU core each recipe is trained on, so that all get the same time."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import torch

from bench.league.board import Board, settled
from bench.trainers import NEVER_KIMG, trainer_of
from training.data import Dataset, load_dataset
from training.recipe_config import Recipe

_ROUNDS = 3
_STRETCH_S = 4.0


def paces(board: Board, names: list[str], cache: Path) -> dict[str, float]:
    """Return images a CPU second for each recipe named; measured once, then read from the board's file.

    All recipes are measured in turn, several times over, and the median is taken: a machine that is
    slower for a while is slower for all.
    """
    kept_file = board.results / "paces.json"
    kept: dict[str, dict[str, float | str]] = {}
    if kept_file.is_file():
        kept = json.loads(kept_file.read_text(encoding="utf-8"))
    missing = [name for name in names if kept.get(name, {}).get("recipe_digest") != settled(name)[1]]
    if missing:
        dataset = load_dataset(board.data, cache)
        torch.set_num_threads(1)
        measured: dict[str, list[float]] = {name: [] for name in missing}
        for _ in range(_ROUNDS):
            for name in missing:
                measured[name].append(_pace(settled(name)[0], dataset))
        for name, values in measured.items():
            kept[name] = {
                "images_per_cpu_s": round(statistics.median(values), 1),
                "recipe_digest": settled(name)[1],
            }
        kept_file.parent.mkdir(parents=True, exist_ok=True)
        kept_file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return {name: float(kept[name]["images_per_cpu_s"]) for name in names}


def _pace(recipe: Recipe, dataset: Dataset) -> float:
    """Return images a CPU second of a stretch of training, less what starting and ending cost."""
    images = shortest = recipe.batch_size * recipe.discriminator_steps
    _seconds(recipe, dataset, shortest)  # what is paid once
    fixed_s = _seconds(recipe, dataset, shortest)
    while (spent_s := _seconds(recipe, dataset, images) - fixed_s) < _STRETCH_S:
        growth = 1.2 * _STRETCH_S / spent_s if spent_s > _STRETCH_S / 8 else 4.0
        images = round(images * max(growth, 1.1))
    return (images - shortest) / spent_s


def _seconds(recipe: Recipe, dataset: Dataset, images: int) -> float:
    length = {"total_kimg": images / 1000}
    shortened = Recipe.model_validate({**recipe.model_dump(mode="json"), **length})
    with trainer_of(
        shortened, dataset, sample_every_kimg=NEVER_KIMG, checkpoint_every_kimg=NEVER_KIMG
    ) as trainer:
        started = time.process_time()
        trainer.train()
        return time.process_time() - started
