"""The doctor in a run: it leaves no trace in the training, names failures, and ends a run as it was told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.checkpoint import checkpoint_path, checkpoints, load_newest, save_checkpoint
from training.cli import FAILING, main
from training.config import RunConfig
from training.consultation import consult, read_log
from training.data import Dataset, load_dataset
from training.doctor import Failure
from training.errors import Diverged, Failing
from training.evaluation import run_subject
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer

CPU = torch.device("cpu")
TINY = ["batch_size=16", "networks.generator_channels=4", "networks.discriminator_channels=4", "latent.dim=6"]
MLP = ["batch_size=16", "networks.generator_hidden=[8]", "networks.discriminator_hidden=[8]"]


def _trainer(path: Path, dataset: Dataset, recipe: str, settings: list[str], **more: Any) -> Trainer:
    config = RunConfig(
        recipe=override(recipe_named(recipe), settings),
        data=dataset.name,
        dataset_digest=dataset.digest,
        **{"doctor_every_kimg": 0.032, **more},
    )
    run = RunDirectory(path)
    run.create(config)
    return Trainer(config, dataset, run, CPU)


def _again(trainer: Trainer, dataset: Dataset, **changes: Any) -> Trainer:
    """Take the run up as a new process would."""
    again = Trainer(trainer.config.model_copy(update=changes), dataset, trainer.run, CPU)
    again.saves.resume()
    return again


def _sabotage(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, after: int, act: Callable[[], None]) -> None:
    """Do something to the run before each turn from so many images on."""
    original = trainer.turn

    def turn() -> None:
        if trainer.state.images_seen >= after:
            act()
        original()

    monkeypatch.setattr(trainer, "turn", turn)


def _freeze(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    def stop() -> None:
        trainer.state.generator_optimiser.step = lambda: None

    _sabotage(trainer, monkeypatch, after, stop)


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize(
    ("recipe", "settings"), [("default", TINY), ("vanilla", MLP), ("dcgan", [*TINY, "instance_noise=0.1"])]
)
def test_the_training_is_the_same_whether_the_doctor_looks_or_not(
    tmp_path: Path, digits: Dataset, recipe: str, settings: list[str]
) -> None:
    """Weights, statistics of norms, spectral vectors, random states: equal to the last bit."""
    settings = [*settings, "total_kimg=0.128"]
    states = []
    for checks, every in ((8, 0.016), (1, 100.0)):
        trainer = _trainer(tmp_path / str(checks), digits, recipe, settings, doctor_every_kimg=every)
        trainer.train()
        assert len(trainer.doctor.history) == checks
        states.append({**trainer.state.save(), "wall_time_s": 0.0})
    assert _same(*states)


def test_a_resumed_run_has_the_log_of_the_run_that_was_never_stopped(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the doctor remembers is part of the checkpoint, the best one too."""
    settings = [*TINY, "total_kimg=0.32"]
    whole = _trainer(tmp_path / "whole", digits, "default", settings)
    whole.train()
    stopped = _trainer(tmp_path / "stopped", digits, "default", settings, checkpoint_every_kimg=0.048)

    def kill() -> None:
        raise SystemExit

    _sabotage(stopped, monkeypatch, 176, kill)
    with pytest.raises(SystemExit):
        stopped.train()
    again = _again(stopped, digits)
    assert again.state.images_seen == 144
    again.train()
    logs = [trainer.run.doctor_log.read_bytes() for trainer in (whole, again)]
    assert logs[0] == logs[1]
    assert logs[0].count(b"\n") == 10
    bests = [load_newest(trainer.run.best) for trainer in (whole, again)]
    assert bests[0][0].name == bests[1][0].name
    assert _same(bests[0][1]["averaged"], bests[1][1]["averaged"])
    assert _same(whole.doctor.state_dict(), again.doctor.state_dict())


def test_what_is_seen_goes_to_the_log_and_to_tensorboard_without_a_nan(
    tmp_path: Path, digits: Dataset
) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", [*TINY, "total_kimg=0.096"])
    trainer.train()
    lines = read_log(trainer.run)
    assert [line["images_seen"] for line in lines] == [32, 64, 96]
    signals = lines[-1]["signals"]
    assert 0 <= signals["auc_drawn"] <= 1
    assert {"distance", "spread", "dimension", "coverage", "agreement", "auc_label", "motion", "g_step"} <= (
        signals.keys()
    )
    events = b"".join(path.read_bytes() for path in trainer.run.tensorboard.iterdir())
    assert b"doctor/distance" in events


def test_a_generator_frozen_half_way_is_named_with_the_best_weights_brought_back(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run ends at its best averaged weights to the bit, which whoever draws from it then gets."""
    settings = [*TINY, "total_kimg=0.64", "averaging.halflife_kimg=0.05"]
    trainer = _trainer(tmp_path / "run", digits, "default", settings, on_failure="rollback")
    _freeze(trainer, monkeypatch, 320)
    with pytest.raises(Failing, match=r"generator stands still after 384 images; .* went back to its best"):
        trainer.train()
    told = capsys.readouterr().err
    assert "the doctor, after 384 images: generator stands still" in told
    assert "try:" in told
    distances = {check["images_seen"]: check["signals"]["distance"] for check in read_log(trainer.run)[:-1]}
    best = min(distances, key=distances.__getitem__)
    path, kept = load_newest(trainer.run.best)
    assert path.name == checkpoint_path(trainer.run.best, best).name
    assert read_log(trainer.run)[-1] == {"images_seen": 384, "rolled_back_to": best}
    assert max(checkpoints(trainer.run.checkpoints)).name == path.name
    again = Trainer(trainer.config, digits, trainer.run, CPU)
    again.saves.recall()
    assert _same(again.state.averaged.state_dict(), kept["averaged"])
    assert again.state.images_seen == best
    assert "generator stands still after 384 images" in run_subject(again).facts["the doctor"]
    consultation = consult(again)
    assert consultation.failures == [Failure.GENERATOR_STILL]
    assert f"went back to its best averaged weights, those after {best:,}" in consultation.text


def test_a_run_that_was_stopped_can_go_on_and_hears_of_each_failure_once(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*TINY, "total_kimg=0.64"]
    often = {"sample_every_kimg": 0.032}
    trainer = _trainer(tmp_path / "run", digits, "default", settings, on_failure="stop", **often)
    _freeze(trainer, monkeypatch, 320)
    with pytest.raises(Failing, match="--resume goes on"):
        trainer.train()
    assert trainer.state.images_seen == 384
    assert trainer.run.animation_file.is_file()
    again = _again(trainer, digits)
    assert again.state.images_seen == 384
    _freeze(again, monkeypatch, 0)
    again.train()
    assert again.state.images_seen == 640
    new = [name for line in read_log(trainer.run) for name in line["new"]]
    assert new == ["generator stands still"]
    drawn = [int(grid.stem) for grid in trainer.run.grids()]
    assert drawn == list(range(32, 641, 32)), "the grid that was due where the run was stopped is there"


@pytest.mark.parametrize("policy", ["warn", "rollback"])
def test_numbers_that_are_none_never_get_into_the_best_or_the_newest_checkpoint(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    trainer = _trainer(tmp_path / "run", digits, "dcgan", [*TINY, "total_kimg=0.32"], on_failure=policy)

    def poison() -> None:
        with torch.no_grad():
            next(trainer.state.generator.parameters()).fill_(float("nan"))

    _sabotage(trainer, monkeypatch, 96, poison)
    with pytest.raises(Diverged if policy == "warn" else Failing):
        trainer.train()
    for folder in (trainer.run.best, trainer.run.checkpoints):
        _, saved = load_newest(folder)
        for network in ("generator", "averaged", "discriminator"):
            assert all(bool(torch.isfinite(values).all()) for values in saved[network].values())
    consultation = consult(Trainer(trainer.config, digits, trainer.run, CPU))
    assert consultation.failures == [Failure.NON_FINITE]


def test_a_run_from_before_there_was_a_log_is_judged_by_its_checkpoint(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(
        tmp_path / "run", digits, "dcgan", [*TINY, "total_kimg=1.6", "latent.dim=1"], doctor_every_kimg=9.0
    )
    trainer.train()
    run = trainer.run
    run.doctor_log.unlink()
    _, saved = load_newest(run.checkpoints)
    del saved["doctor"]
    for path in checkpoints(run.checkpoints):
        path.unlink()
    save_checkpoint(run.checkpoints, 1600, saved)
    before = sorted(path.name for path in run.path.rglob("*"))
    consultation = consult(Trainer(trainer.config, digits, run, CPU))
    assert Failure.MODE_COLLAPSE in consultation.failures
    assert "one look at the newest checkpoint" in consultation.text
    assert sorted(path.name for path in run.path.rglob("*")) == before


def test_labels_that_say_nothing_are_named_whatever_the_recipe_makes_of_them(
    tmp_path: Path, digits: Dataset
) -> None:
    labels = np.random.default_rng(3).permutation(digits.labels)
    shuffled = replace(digits, labels=labels)
    trainer = _trainer(tmp_path / "run", shuffled, "default", [*TINY, "total_kimg=0.128"])
    trainer.train()
    assert {Failure.LABELS_SAY_NOTHING} == set(consult(trainer).failures)


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_data_of_few_samples_can_be_looked_at(tmp_path: Path, digits: Dataset, rows: int) -> None:
    kept = np.arange(rows + 2)
    few = replace(
        digits,
        samples=digits.samples[kept],
        labels=digits.labels[kept],
        held_out=np.arange(rows + 2) >= rows,
    )
    trainer = _trainer(tmp_path / "run", few, "default", [*TINY, "total_kimg=0.064"])
    trainer.train()
    assert trainer.doctor.history[-1].train_rows == rows
    assert np.isfinite(trainer.doctor.history[-1].distance)


def test_vectors_are_looked_at_too(tmp_path: Path, cache: Path) -> None:
    dataset = load_dataset("gaussian", cache)
    trainer = _trainer(tmp_path / "run", dataset, "gaussian-1d", ["total_kimg=20"], doctor_every_kimg=4.0)
    trainer.train()
    assert trainer.doctor.history[-1].dimension == pytest.approx(1, abs=0.3)
    assert trainer.doctor.history[-1].agreement is None


def test_the_commands_train_stop_tell_and_go_on(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A D that runs far ahead: named while training, the run ends with the code for it, and goes on."""
    run, common = str(tmp_path / "run"), ["--cache", str(cache), "--threads", "1"]
    sabotage = [*TINY, "discriminator_optimiser.learning_rate=0.05"]
    settings = [part for setting in sabotage for part in ("--set", setting)]
    new = ["--data", "digits", "--out", run, "--kimg", "0.32", "--doctor-every", "0.032", *settings]
    assert main(["train", *new, "--on-failure", "stop", *common]) == FAILING
    told = capsys.readouterr().err
    assert "discriminator too strong" in told
    assert "--set discriminator_optimiser.learning_rate=" in told
    assert main(["doctor", run, *common]) == FAILING
    said = capsys.readouterr()
    assert "discriminator too strong" in said.out
    assert "failing" in said.err
    assert main(["train", "--resume", run, "--on-failure", "warn", *common]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["on_failure"] == "warn"
    assert main(["doctor", str(tmp_path / "nowhere"), *common]) == 1


def test_a_short_sound_run_is_healthy(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, common = str(tmp_path / "run"), ["--cache", str(cache), "--threads", "1"]
    settings = [part for setting in TINY for part in ("--set", setting)]
    assert main(["train", "--data", "digits", "--out", run, "--kimg", "0.2", *settings, *common]) == 0
    assert main(["doctor", run, *common]) == 0
    assert "nothing wrong was found" in capsys.readouterr().out
