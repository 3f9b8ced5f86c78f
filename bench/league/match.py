"""One match: a recipe trained from a seed by the command that users type, judged, and written down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.league.board import Board, settled
from bench.trainers import same_settings
from training.run import RunDirectory

RUNS = Path("runs/league")
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
_INTERRUPTED = 130


class Stopped(Exception):
    """The match was stopped before its end; it can be gone on with."""


@dataclass(frozen=True)
class Match:
    """A recipe from a seed on a board, for so many thousand images."""

    board: Board
    recipe: str
    seed: int
    kimg: float
    images_per_cpu_s: float
    cache: Path

    @property
    def result(self) -> Path:
        """Where what came out is written."""
        return self.board.results / f"{self.recipe}-{self.seed}.json"

    @property
    def run(self) -> Path:
        """The run directory, with the time that its training has taken so far."""
        return RUNS / self.board.name / f"{self.recipe}-{self.seed}"

    @property
    def played(self) -> bool:
        """Whether there is a result of the recipe as it is now."""
        if not self.result.is_file():
            return False
        kept = json.loads(self.result.read_text(encoding="utf-8"))
        return bool(kept["recipe_digest"] == settled(self.recipe)[1])

    def play(self, started: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """Train and judge; ``started`` is told each process. Raises ``Stopped`` if interrupted."""
        self._drop_a_run_of_other_settings()
        spent = self.run / "cpu_seconds.json"
        cpu_s = float(json.loads(spent.read_text())) if spent.is_file() else 0.0
        common = ["--threads", "1", "--cache", str(self.cache)]
        code, seconds = _training([*self._command(), *common], started)
        cpu_s += seconds
        if self.run.is_dir():
            spent.write_text(json.dumps(cpu_s))
        if code == _INTERRUPTED:
            raise Stopped
        _require(code, self.run)
        code, _ = _training(["evaluate", str(self.run), "--cas", "no", *common], started)
        if code == _INTERRUPTED:
            raise Stopped
        _require(code, self.run)
        self.board.results.mkdir(parents=True, exist_ok=True)
        self.result.write_text(json.dumps(self._facts(cpu_s), indent=1) + "\n", encoding="utf-8")

    def _command(self) -> list[str]:
        if self.run.is_dir():
            return ["train", "--resume", str(self.run)]
        eighth = str(max(self.kimg / 8, 1e-3))
        return [
            "train", "--data", self.board.data, "--recipe", self.recipe, "--seed", str(self.seed),
            "--kimg", str(self.kimg), "--out", str(self.run), "--sample-every", eighth,
            "--checkpoint-every", eighth,
        ]  # fmt: skip

    def _drop_a_run_of_other_settings(self) -> None:
        config = self.run / "config.json"
        if not self.run.is_dir():
            return
        if config.is_file():
            recipe = json.loads(config.read_text(encoding="utf-8"))["recipe"]
            wanted = settled(self.recipe)[0].model_copy(update={"total_kimg": self.kimg})
            if same_settings(recipe, wanted):
                return
        shutil.rmtree(self.run)

    def _facts(self, cpu_s: float) -> dict[str, Any]:
        report = json.loads((self.run / "report.json").read_text(encoding="utf-8"))
        config = json.loads((self.run / "config.json").read_text(encoding="utf-8"))
        return {
            "recipe": self.recipe,
            "recipe_digest": settled(self.recipe)[1],
            "seed": self.seed,
            "data": self.board.data,
            "dataset_digest": config["dataset_digest"],
            "provenance": config["provenance"],
            "kimg": self.kimg,
            "cpu_s": round(cpu_s, 1),
            "images_per_cpu_s": self.images_per_cpu_s,
            "doctor": self._named_by_the_doctor(),
            "evaluation": {
                key: report[key] for key in ("images", "seed", "weights", "feature_space", "rows")
            },
        }

    def _named_by_the_doctor(self) -> list[dict[str, Any]]:
        """Return which failures were named when, for the first time each."""
        lines = RunDirectory(self.run).doctor_log.read_text(encoding="utf-8").splitlines()
        checks = [json.loads(line) for line in lines]
        return [{key: check[key] for key in ("images_seen", "new")} for check in checks if check.get("new")]


def _training(arguments: list[str], started: Callable[[subprocess.Popen[bytes]], None]) -> tuple[int, float]:
    """Run a command of the trainer; return its exit code and the CPU seconds that it took."""
    command = [sys.executable, "-m", "training", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, env={**os.environ, **_ENVIRONMENT}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    started(process)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def _require(code: int, run: Path) -> None:
    if code != 0:
        raise RuntimeError(f"{run}: the trainer ended with exit code {code}; its message is above")
