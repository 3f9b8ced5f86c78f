"""Several processes play the run that one would play, and end together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.playing import CASES, RESUMED, play
from training.checkpoint import checkpoints
from training.cli import main
from training.data import Dataset, load_dataset
from training.distributed import Processes
from training.errors import ConfigError
from training.game import dealt
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer

ROOT = Path(__file__).parents[2]
_LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
# Sums are taken in another order: the last bits differ, and ten steps spread them.
_TOLERANCE = {"rtol": 1e-3, "atol": 2e-5}
# The gradient of a gradient is next to nothing in places, of which Adam makes a step all the same (3e-4).
_TOLERANCE_OF_PENALTIES = {**_TOLERANCE, "atol": 1e-4}


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """Every case played by one process."""
    folder = tmp_path_factory.mktemp("alone")
    for recipe, settings in CASES.items():
        torch.save(play(folder / recipe, recipe, settings, digits), folder / f"{recipe}.pt")
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, alone: Path, digits: Dataset, cache: Path) -> Path:
    """Every case played by two processes, and one that a single process played up to its half."""
    folder = tmp_path_factory.mktemp("together")
    _take_back_to_half(alone / RESUMED, folder / "resumed")
    command = [*_LAUNCH, "-m", "tests.training.playing", str(folder), str(cache)]
    subprocess.run(command, cwd=ROOT, env=_ENVIRONMENT, check=True, timeout=300)
    return folder


def _take_back_to_half(run: Path, copy: Path) -> None:
    shutil.copytree(run, copy)
    half, _end = checkpoints(RunDirectory(copy).checkpoints)
    _end.unlink()
    assert int(half.stem) == 80


def _load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def _weights(state: dict[str, Any], network: str) -> dict[str, torch.Tensor]:
    """Weights and statistics that mean something.

    A batch norm takes away whatever a bias before it adds, so the gradient of such a bias is nothing but
    rounding, which Adam blows up to full steps; the running means follow it. Draws know nothing of it.
    """
    meaningless = ("conv_1.bias", "conv_2.bias", "shortcut.bias", "running_mean")
    return {name: value for name, value in state[network].items() if not name.endswith(meaningless)}


def _assert_alike(
    one: dict[str, Any], other: dict[str, Any], tolerance: dict[str, float] = _TOLERANCE
) -> None:
    for network in ("generator", "averaged", "discriminator"):
        torch.testing.assert_close(_weights(one, network), _weights(other, network), **tolerance)
    for exact in ("images_seen", "steps", "random", "torch_random"):
        torch.testing.assert_close(one[exact], other[exact], rtol=0, atol=0)


@pytest.mark.parametrize("recipe", CASES)
def test_two_processes_play_the_run_of_one(alone: Path, together: Path, recipe: str) -> None:
    """Weights, averages, statistics, random states and reports; and both processes hold the same bits."""
    expected = _load(alone / f"{recipe}.pt")
    first, second = (_load(together / f"rank-{rank}" / f"{recipe}.pt") for rank in (0, 1))
    _assert_alike(expected, first, _TOLERANCE_OF_PENALTIES if recipe == "wgan-gp" else _TOLERANCE)
    for network in ("generator", "averaged", "discriminator"):
        for name, value in first[network].items():
            assert torch.equal(value, second[network][name]), name
    for one, other in zip(_metrics(alone / recipe), _metrics(together / recipe), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def _metrics(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in RunDirectory(run).metrics_file.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "wall_time_s"} for line in lines]


@pytest.mark.parametrize("recipe", ["default", "r3gan"])
def test_what_two_processes_trained_draws_what_one_would_draw(
    alone: Path, together: Path, digits: Dataset, recipe: str
) -> None:
    drawn = []
    for folder in (alone, together):
        run = RunDirectory(folder / recipe)
        trainer = Trainer(run.read_config(), digits, run, torch.device("cpu"))
        trainer.saves.recall()
        latent = torch.randn(20, trainer.spec.latent_dim, generator=torch.Generator().manual_seed(1))
        drawn.append(trainer.sampler.run(latent.numpy(), torch.eye(10).repeat(2, 1).numpy()))
    assert drawn[0].std() > 0.05
    assert abs(drawn[0] - drawn[1]).max() < 1e-3


def test_a_run_of_one_process_goes_on_with_two_and_the_other_way_round(
    alone: Path, together: Path, digits: Dataset, tmp_path: Path
) -> None:
    expected = _load(alone / f"{RESUMED}.pt")
    _assert_alike(expected, _load(together / "rank-0" / "resumed.pt"))
    _take_back_to_half(together / RESUMED, tmp_path / "run")
    _assert_alike(expected, play(tmp_path / "run", RESUMED, CASES[RESUMED], digits))


def test_an_interrupt_of_one_process_stops_all_after_the_same_step(together: Path) -> None:
    notes = [json.loads((together / f"rank-{rank}" / "notes.json").read_text()) for rank in (0, 1)]
    assert [note["interrupted_at"] for note in notes] == [64, 64]
    newest = checkpoints(RunDirectory(together / "interrupted").checkpoints)[-1]
    assert int(newest.stem) == 64


def test_a_disk_that_is_full_for_the_first_process_ends_all(together: Path) -> None:
    notes = [json.loads((together / f"rank-{rank}" / "notes.json").read_text()) for rank in (0, 1)]
    assert [note["full_disk"] for note in notes] == ["OSError", "ProcessLost"]


def test_no_thread_outlives_the_connection(together: Path) -> None:
    for rank in (0, 1):
        assert json.loads((together / f"rank-{rank}" / "notes.json").read_text())["threads"] == []


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_process_that_is_killed_takes_the_others_with_it(tmp_path: Path, cache: Path) -> None:
    """No launcher watches them here: the one that is left notices by itself, and says how things stand."""
    run, port = tmp_path / "run", str(_free_port())
    command = [sys.executable, "-m", "training", "train", "--data", "digits", "--cache", str(cache)]
    command += ["--out", str(run), "--kimg", "1000", "--threads", "1"]
    command += [part for setting in CASES["default"] for part in ("--set", setting)]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    first, second = (
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_ENVIRONMENT, **place, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ("0", "1")
    )
    metrics = RunDirectory(run).metrics_file
    while first.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
        signal.sigtimedwait([], 0.1)
    second.kill()
    shown, _ = second.communicate(timeout=60)
    told, _ = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "another process of this run ended" in told
    assert "newest checkpoint is sound" in told
    assert shown == "", "only the first process prints"


@pytest.mark.parametrize(
    "command", [["evaluate", "runs/a"], ["export", "runs/a", "--name", "a"], ["train", "--dry-run"]]
)
def test_what_one_process_does_is_refused_to_several(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(command) == 1
    assert "is done by one process" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        main(command)
    assert capsys.readouterr().err == "", "the first process has said it"


def test_a_batch_that_cannot_be_dealt_is_refused_with_what_can_be() -> None:
    recipe = override(recipe_named("default"), ["batch_size=64", "networks.minibatch_stddev=8"])
    assert [shard.rows for shard in dealt(recipe, Processes(rank=1, size=4))] == [16]
    with pytest.raises(ConfigError, match=r"batch_size 64 .* 3 processes .* multiple of 24"):
        dealt(recipe, Processes(rank=0, size=3))
