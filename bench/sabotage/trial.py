"""One trial: a case from a seed, trained as always, and what the doctor said of it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.sabotage.cases import Case
from bench.trainers import same_settings
from training.config import RunConfig
from training.data import load_dataset
from training.doctor import Signals
from training.errors import Diverged
from training.provenance import begun_with
from training.recipe_config import Recipe, override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer

RESULTS = Path(__file__).parent.parent / "results" / "sabotage"
_CACHE = Path(".cache/forger")
_CHECKS = 20


class _Sabotaged(Trainer):
    """A trainer whose run is tampered with after every turn."""

    hook: Callable[[Trainer], None] | None = None

    def turn(self) -> None:
        """Play one turn, and tamper."""
        super().turn()
        if self.hook is not None:
            self.hook(self)


@dataclass(frozen=True)
class Trial:
    """A case, played from a seed."""

    case: Case
    seed: int
    folder: Path = RESULTS

    @property
    def result(self) -> Path:
        """Where what came out is written."""
        return self.folder / f"{self.case.key}-{self.seed}.json"

    @property
    def recipe(self) -> Recipe:
        """The recipe that is trained, with what is changed of it."""
        base = self.case.base
        settings = [*base.settings, *self.case.settings, f"total_kimg={base.kimg}"]
        return override(recipe_named(base.recipe), settings)

    @property
    def is_done(self) -> bool:
        """Whether there is a result of the recipe as it is now."""
        if not self.result.is_file():
            return False
        kept = json.loads(self.result.read_text(encoding="utf-8"))["recipe"]
        return same_settings(kept, self.recipe)

    def run(self) -> dict[str, Any]:
        """Train, and write down every check and when each failure was first named."""
        case = self.case
        dataset = load_dataset(case.base.data, _CACHE)
        if case.edit is not None:
            dataset = case.edit(dataset, np.random.default_rng(self.seed))
        config = RunConfig(
            recipe=self.recipe,
            data=case.base.data,
            dataset_digest=dataset.digest,
            seed=self.seed,
            provenance=begun_with(),
            doctor_every_kimg=case.base.kimg / _CHECKS,
        )
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            run = RunDirectory(Path(folder))
            run.create(config)
            trainer = _Sabotaged(config, dataset, run, torch.device("cpu"))
            trainer.hook = case.hook
            try:
                trainer.train()
            except Diverged as error:
                print(f"  {error}")
            lines = [json.loads(line) for line in run.doctor_log.read_text(encoding="utf-8").splitlines()]
        document = {
            "case": case.name,
            "recipe": config.recipe.model_dump(mode="json"),
            "seed": self.seed,
            "cpu_s": round(time.process_time() - started, 1),
            "expected": sorted(failure.value for failure in case.expected),
            "checks": _columns([line["signals"] for line in lines if "signals" in line]),
            "named": [
                {"images_seen": line["images_seen"], **finding}
                for line in lines
                for finding in line.get("findings", [])
                if finding["failure"] in line.get("new", [])
            ],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.result.with_suffix(".partial")
        temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
        temporary.replace(self.result)
        return document


def _columns(checks: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return a column for each signal, None where it was not measured: names are not told at every check."""
    names = dict.fromkeys(name for check in checks for name in check)
    return {name: [check.get(name) for check in checks] for name in names}


def history(document: dict[str, Any]) -> list[Signals]:
    """Return the checks of a kept trial, oldest first."""
    columns = document["checks"]
    count = len(columns["images_seen"])
    return [Signals.read({name: column[at] for name, column in columns.items()}) for at in range(count)]
