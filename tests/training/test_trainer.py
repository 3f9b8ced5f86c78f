"""The loop learns, resumes exactly where it was, and stops where it must."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.manifest import ImageOutput
from training.checkpoint import checkpoint_path, checkpoints, save_checkpoint
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.errors import Diverged, RunError, TrainingError
from training.placement import memory_format_of
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer

CPU = torch.device("cpu")
TINY = ["batch_size=16", "networks.generator_channels=4", "networks.discriminator_channels=4", "latent.dim=6"]


def _trainer(path: Path, dataset: Dataset, recipe: str, settings: list[str], **more: float) -> Trainer:
    config = RunConfig(
        recipe=override(recipe_named(recipe), settings),
        data=dataset.name,
        dataset_digest=dataset.digest,
        log_every_kimg=0.032,
        **more,
    )
    run = RunDirectory(path)
    run.create(config)
    return Trainer(config, dataset, run, CPU)


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("default", TINY),
        ("default", [*TINY, "discriminator_steps=2", "augmentation.cutout=0.3", "precision=bf16"]),
        ("vanilla", ["batch_size=16", "networks.generator_hidden=[8]", "networks.discriminator_hidden=[8]"]),
    ],
)
@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_resumed_run_is_the_run_that_was_never_stopped(
    tmp_path: Path,
    digits: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
    settings: list[str],
    how: str,
) -> None:
    """Weights, averages, optimisers, random states and metrics: equal to the last bit."""
    settings = [*settings, "total_kimg=0.32"]
    whole = _trainer(tmp_path / "whole", digits, recipe, settings)
    whole.train()

    # Checkpoints that do not fall on reports: what was measured since the last one must survive too.
    stopped = _trainer(tmp_path / "stopped", digits, recipe, settings, checkpoint_every_kimg=0.048)
    original = stopped.turn

    def turn() -> None:
        if stopped.state.images_seen >= 150:
            if how == "killed":
                raise SystemExit
            signal.raise_signal(signal.SIGINT)  # arrives in the middle of a step
        original()

    monkeypatch.setattr(stopped, "turn", turn)
    with pytest.raises(SystemExit if how == "killed" else KeyboardInterrupt):
        stopped.train()
    torch.manual_seed(999)
    again = Trainer(stopped.config, digits, stopped.run, CPU)
    again.saves.resume()
    assert 0 < again.state.images_seen < 224
    assert (again.state.images_seen > 160) == (how == "interrupted")
    again.train()

    expected, got = whole.state.save(), again.state.save()
    expected["wall_time_s"] = got["wall_time_s"] = 0.0
    _assert_same(expected, got)
    assert _figures(whole.run) == _figures(again.run)


def _assert_same(expected: object, got: object) -> None:
    if isinstance(expected, dict):
        assert expected.keys() == got.keys()
        for key in expected:
            _assert_same(expected[key], got[key])
    elif isinstance(expected, list):
        for one, other in zip(expected, got, strict=True):
            _assert_same(one, other)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(expected, got)
    else:
        assert expected == got


def _figures(run: RunDirectory) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    for line in lines:
        del line["wall_time_s"]
    return lines


def test_the_toy_learns_its_bell_curve(tmp_path: Path, cache: Path) -> None:
    dataset = load_dataset("gaussian", cache)
    trainer = _trainer(
        tmp_path / "run", dataset, "gaussian-1d", ["total_kimg=400", "averaging.halflife_kimg=20"]
    )
    untrained = trainer.sampler.draw(0, np.arange(2000), None)
    trainer.train()
    drawn = trainer.sampler.draw(0, np.arange(2000), None)
    assert abs(untrained.mean() - 4) > 2
    assert drawn.mean() == pytest.approx(4, abs=0.6)
    assert drawn.std() == pytest.approx(1.25, abs=0.7)


def test_a_run_keeps_its_configuration_metrics_samples_and_two_checkpoints(
    tmp_path: Path, digits: Dataset
) -> None:
    settings = [*TINY, "total_kimg=0.2"]
    trainer = _trainer(
        tmp_path / "run", digits, "default", settings, sample_every_kimg=0.1, checkpoint_every_kimg=0.05
    )
    trainer.train()
    run = trainer.run
    assert run.read_config() == trainer.config
    assert [path.name for path in sorted(run.samples.iterdir())] == ["000000000112.png", "000000000208.png"]
    assert len(checkpoints(run.checkpoints)) == 2
    assert any(path.name.startswith("events") for path in run.tensorboard.iterdir())
    figures = _figures(run)
    assert figures[-1]["images_seen"] == 208
    assert {"d_loss", "g_loss", "d_real", "d_fake", "steps"} <= figures[0].keys()


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path, digits: Dataset) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", [*TINY, "total_kimg=0.032"])
    trainer.train()
    again = Trainer(trainer.config, digits, trainer.run, CPU)
    again.saves.resume()
    again.train()
    assert again.state.steps == trainer.state.steps


def test_a_run_directory_is_never_overwritten(tmp_path: Path, digits: Dataset) -> None:
    _trainer(tmp_path / "run", digits, "default", TINY)
    with pytest.raises(RunError, match="--resume"):
        _trainer(tmp_path / "run", digits, "default", TINY)


def test_losses_that_are_no_numbers_end_the_run(tmp_path: Path, digits: Dataset) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", [*TINY, "total_kimg=1"])
    with torch.no_grad():
        trainer.state.discriminator.score.linear.bias.fill_(float("nan"))
    with pytest.raises(Diverged, match="finite"):
        trainer.train()


def test_an_interrupt_saves_and_says_how_to_go_on(tmp_path: Path, cache: Path) -> None:
    """Ctrl-C on the real command; then the run goes on from where it was."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "training", "train", "--cache", str(cache), "--threads", "1"]
    settings = [part for setting in TINY for part in ("--set", setting)]
    new = ["--data", "digits", "--out", str(run), "--kimg", "1000", *settings]
    process = subprocess.Popen([*command, *new], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    metrics = RunDirectory(run).metrics_file
    while process.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
        signal.sigtimedwait([], 0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume {run}" in output
    folder = RunDirectory(run).checkpoints
    assert checkpoints(folder)[-1] != checkpoint_path(folder, 0)


def test_a_run_killed_at_its_start_can_go_on(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", [*TINY, "total_kimg=0.032"])

    def killed() -> None:
        raise SystemExit

    monkeypatch.setattr(trainer, "turn", killed)
    with pytest.raises(SystemExit):
        trainer.train()
    again = Trainer(trainer.config, digits, trainer.run, CPU)
    again.saves.resume()
    again.train()
    assert again.state.images_seen == 32


def test_a_state_that_is_no_number_never_replaces_a_sound_one(tmp_path: Path, digits: Dataset) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", TINY)
    trainer.saves.save()
    trainer.state.figures.add(d_loss=torch.tensor(float("nan")))
    trainer.state.images_seen = 64
    with pytest.raises(Diverged, match="newest checkpoint is sound"):
        trainer.saves.save()
    folder = trainer.run.checkpoints
    assert checkpoints(folder) == [checkpoint_path(folder, 0)]


def test_a_run_of_a_gpu_is_drawn_from_anywhere_and_goes_on_only_there(
    tmp_path: Path, digits: Dataset
) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", TINY)
    state = trainer.state.save() | {"device": "cuda", "random": torch.zeros(16, dtype=torch.uint8)}
    save_checkpoint(trainer.run.checkpoints, 0, state)
    with pytest.raises(RunError, match="cuda"):
        trainer.saves.resume()
    with torch.no_grad():
        trainer.state.averaged.layers.convolutions[-1].bias.fill_(9.0)
    trainer.saves.recall()
    assert float(trainer.state.averaged.layers.convolutions[-1].bias.max()) == 0.0


def test_a_generator_that_puts_out_no_numbers_is_not_drawn_from(tmp_path: Path, digits: Dataset) -> None:
    trainer = _trainer(tmp_path / "run", digits, "default", TINY)
    with torch.no_grad():
        trainer.state.averaged.layers.convolutions[-1].bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match="diverged"):
        trainer.sampler.draw(0, np.arange(2), np.arange(2))


@pytest.fixture
def colourful() -> Dataset:
    """Images of 16 x 16 in colour: the smallest that are laid out channels last."""
    noise = np.random.default_rng(0)
    return Dataset(
        name="colourful",
        samples=noise.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8),
        labels=np.arange(60) % 2,
        class_names=("a", "b"),
        held_out=np.arange(60) >= 48,
    )


@pytest.mark.parametrize("recipe", ["default", "r3gan", "wgan-gp"])
def test_how_images_lie_in_memory_changes_nothing_but_rounding(
    tmp_path: Path, colourful: Dataset, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """Channels last, as is chosen here, and channels first; a run begun one way goes on the other way."""
    assert memory_format_of(ImageOutput(height=16, width=16, channels=3)) is torch.channels_last
    assert memory_format_of(ImageOutput(height=8, width=8, channels=1)) is torch.contiguous_format
    states = []
    formats = [torch.contiguous_format, torch.channels_last]
    for begun, other in (formats, formats[::-1]):
        settings = [*TINY, "total_kimg=0.128"]
        monkeypatch.setattr("training.trainer.memory_format_of", lambda _output, begun=begun: begun)
        run = tmp_path / str(begun)
        trainer = _trainer(run, colourful, recipe, settings, checkpoint_every_kimg=0.064)
        trainer.train()
        checkpoints(trainer.run.checkpoints)[-1].unlink()
        monkeypatch.setattr("training.trainer.memory_format_of", lambda _output, other=other: other)
        again = Trainer(trainer.config, colourful, trainer.run, CPU)
        again.saves.resume()
        assert 0 < again.state.images_seen < 128
        again.train()
        wide = [one for one in again.state.discriminator.parameters() if one.ndim == 4 and one.shape[-1] > 1]
        assert wide[-1].is_contiguous(memory_format=other)
        assert not wide[-1].is_contiguous(memory_format=begun)
        states += [trainer.state.save(), again.state.save()]
    for state in states[1:]:
        for network in ("averaged", "discriminator"):
            torch.testing.assert_close(state[network], states[0][network], rtol=1e-3, atol=2e-5)
