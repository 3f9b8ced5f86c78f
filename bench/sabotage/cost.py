"""What the doctor costs: the CPU time of its checks over that of the training between two of them.

.venv/bin/python -m bench.sabotage.cost
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from bench.sabotage.trial import RESULTS
from bench.trainers import trainer_of
from training.data import load_dataset
from training.recipes import recipe_named

_CASES = (("default", "mnist5k"), ("dcgan", "mnist5k"), ("gaussian-1d", "gaussian"))
_TURNS, _CHECKS = 40, 5


def cost(recipe: str, data: str) -> dict[str, float | str]:
    """Return the share of CPU time that checks take at the recipe's own length, each saved as the best."""
    dataset = load_dataset(data, Path(".cache/forger"))
    with trainer_of(recipe_named(recipe), dataset) as trainer:
        for _ in range(3):
            trainer.turn()
        seen, started = trainer.state.images_seen, time.process_time()
        for _ in range(_TURNS):
            trainer.turn()
        per_image_s = (time.process_time() - started) / (trainer.state.images_seen - seen)
        trainer.doctor.check(trainer.state)  # makes the reference, once a run
        started = time.process_time()
        for _ in range(_CHECKS):
            trainer.doctor.check(trainer.state)
            trainer.saves.save_best()
        check_s = (time.process_time() - started) / _CHECKS
    check_every_kimg = trainer.config.check_every_kimg
    return {
        "recipe": recipe,
        "data": data,
        "check_every_kimg": check_every_kimg,
        "check_ms": round(1000 * check_s, 1),
        "images_per_cpu_s": round(1.0 / per_image_s, 1),
        "share": round(check_s / (check_every_kimg * 1000 * per_image_s), 5),
    }


def main() -> None:
    """Measure, print and keep the costs."""
    torch.set_num_threads(1)
    costs = [cost(recipe, data) for recipe, data in _CASES]
    for one in costs:
        print(one)
    RESULTS.with_name("sabotage-cost.json").write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
