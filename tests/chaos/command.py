"""The real command on a tiny budget, in a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from training.recipes import recipe_named

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300.0
_POLL_S = 0.0005
_BATCH = 16
_SMALL = {
    "mlp": ("networks.generator_hidden=[16]", "networks.discriminator_hidden=[16]", "latent.dim=8"),
    "cgan": ("networks.generator_joined=24", "networks.discriminator_joined=12", "latent.dim=8"),
}
_SMALL_CONVOLUTIONS = ("networks.generator_channels=4", "networks.discriminator_channels=4", "latent.dim=8")


@dataclass(frozen=True)
class Budget:
    """A run of so many steps of a recipe, reported, drawn and saved every few of them."""

    recipe: str
    steps: int = 96

    def arguments(self, out: Path, cache: Path) -> list[str]:
        """Return what begins the run."""
        recipe = recipe_named(self.recipe)
        per_step = _BATCH * recipe.discriminator_steps / 1000
        small = _SMALL.get(recipe.networks.family, _SMALL_CONVOLUTIONS)
        # A last report between two checkpoints: what was measured since the one must survive too.
        settings = [*small, f"batch_size={_BATCH}", f"total_kimg={per_step * self.steps}"]
        return [
            "train", "--data", "gaussian" if self.recipe == "gaussian-1d" else "digits",
            "--recipe", self.recipe, "--out", str(out), "--cache", str(cache), "--threads", "1",
            "--log-every", str(per_step * 5), "--sample-every", str(per_step * 32),
            "--checkpoint-every", str(per_step * 8), "--doctor-every", str(per_step * 12),
            *(part for setting in settings for part in ("--set", setting)),
        ]  # fmt: skip


def to_go_on(out: Path, cache: Path) -> list[str]:
    """Return what goes on with a run."""
    return ["train", "--resume", str(out), "--cache", str(cache)]


class Command:
    """``python -m training ...`` in a process of its own; its output is read when it has ended."""

    def __init__(self, arguments: list[str], **options: object) -> None:
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "training", *arguments], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, **options,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self.process.poll() is not None

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds or the process has ended; fails if neither comes to pass."""
        patience = time.monotonic() + PATIENCE_S
        while not (condition() or self.ended):
            assert time.monotonic() < patience, "the command neither went on nor ended"
            time.sleep(_POLL_S)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if not self.ended:
            self.process.send_signal(number)

    def result(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and all that was said."""
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said


def carry_out(arguments: list[str]) -> str:
    """Run a command to its end and return what it said; fails unless it succeeds."""
    with Command(arguments) as command:
        status, said = command.result()
    assert status == 0, f"exit status {status}:\n{said}"
    return said
