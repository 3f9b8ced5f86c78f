"""Plays small runs, alone or as one of several processes; the tests of distributed training compare them.

Started by a launcher, it plays every case, and what else only several processes can show, into a folder:

    torchrun --nproc-per-node 2 -m tests.training.playing FOLDER CACHE
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import training.saves
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.distributed import Processes, joined, launched
from training.errors import TrainingError
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer

SMALL = ["batch_size=16", "networks.generator_channels=4", "networks.discriminator_channels=4"]
CASES = {
    "default": [*SMALL, "latent.dim=6"],  # conditional batch norm, spectral norm, joined batches
    "dcgan": SMALL,  # batch norm in both, apart
    "wgan-gp": [*SMALL, "discriminator_steps=2"],  # a penalty between pairs, backward twice
    "r3gan": SMALL,  # pairs in both games, R1 and R2
    "acgan": [*SMALL, "instance_noise=0.1"],  # dropout, class loss, noise
}
RESUMED = "default"
_HALF = 0.08


def trainer(
    path: Path, recipe: str, settings: list[str], dataset: Dataset, processes: Processes | None = None
) -> Trainer:
    """Return the trainer of a run of 160 images with a checkpoint half-way; the run is made if it is new."""
    config = RunConfig(
        recipe=override(recipe_named(recipe), [*settings, f"total_kimg={2 * _HALF}"]),
        data=dataset.name,
        dataset_digest=dataset.digest,
        log_every_kimg=0.032,
        checkpoint_every_kimg=_HALF,
    )
    run = RunDirectory(path)
    if (processes is None or processes.is_first) and not run.config_file.exists():
        run.create(config)
    return Trainer(config, dataset, run, torch.device("cpu"), processes)


def play(
    path: Path, recipe: str, settings: list[str], dataset: Dataset, processes: Processes | None = None
) -> dict[str, Any]:
    """Play a whole run, or the rest of one that has checkpoints; return its state at the end."""
    player = trainer(path, recipe, settings, dataset, processes)
    if any(player.run.checkpoints.glob("*.pt")):
        player.saves.resume()
    player.train()
    return player.state.save()


def _interrupted(path: Path, dataset: Dataset, processes: Processes) -> int:
    """Have the last process alone be interrupted; return how many images this one saw when it stopped."""
    player = trainer(path, "default", CASES["default"], dataset, processes)
    turn = player.turn

    def interrupted() -> None:
        if player.state.steps == 3 and processes.rank == processes.size - 1:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # a launcher's own, after the terminal's
        turn()

    with patch.object(player, "turn", interrupted):
        try:
            player.train()
        except KeyboardInterrupt:
            return player.state.images_seen
    return -1


def _without_a_disk(path: Path, dataset: Dataset, processes: Processes) -> str:
    """Have the disk be full for the first process; return how the run ends in this one."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    player = trainer(path, "default", CASES["default"], dataset, processes)
    with patch.object(training.saves, "save_checkpoint", full):
        try:
            player.train()
        except (TrainingError, OSError) as error:
            return type(error).__name__
    return "trained"


def main(folder: Path, cache: Path) -> None:
    """Play everything with the processes that the launcher started, each its own part of the notes."""
    torch.set_num_threads(1)
    dataset = load_dataset("digits", cache)
    with joined(launched()) as processes:
        mine = folder / f"rank-{processes.rank}"
        mine.mkdir()
        for recipe, settings in CASES.items():
            torch.save(play(folder / recipe, recipe, settings, dataset, processes), mine / f"{recipe}.pt")
        resumed = play(folder / "resumed", RESUMED, CASES[RESUMED], dataset, processes)
        torch.save(resumed, mine / "resumed.pt")
        notes = {
            "interrupted_at": _interrupted(folder / "interrupted", dataset, processes),
            "full_disk": _without_a_disk(folder / "full", dataset, processes),
        }
    # What is left of the connection would run into the end of the interpreter, and may abort the process.
    notes["threads"] = [thread for thread in _threads() if "gloo" in thread]
    (mine / "notes.json").write_text(json.dumps(notes))


def _threads() -> list[str]:
    """Return the names of this process's threads, where the system tells."""
    return [comm.read_text().strip() for comm in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
