"""What a run meets when it is taken up: leftovers, damage, no room, another process; and what it says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.chaos.command import Budget, to_go_on
from tests.chaos.evidence import differences, evidence
from training.cli import main
from training.data import load_dataset
from training.evaluation import classifier
from training.locks import locked
from training.run import RunDirectory

BUDGET = Budget("gaussian-1d", steps=40)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Return the directory of a finished run."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert main(BUDGET.arguments(path, cache)) == 0
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:
    """Return a copy of it to do harm to."""
    return RunDirectory(Path(shutil.copytree(whole, tmp_path / "run")))


def _ends_the_same(run: RunDirectory, whole: Path, cache: Path) -> bool:
    assert main(to_go_on(run.path, cache)) == 0
    return differences(evidence(whole), evidence(run.path)) == []


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    run: RunDirectory, whole: Path, cache: Path
) -> None:
    for folder in (run.checkpoints, run.samples, run.tensorboard):
        shutil.rmtree(folder)
    run.metrics_file.unlink()
    run.animation_file.unlink()
    for folder in (run.checkpoints, run.samples, run.tensorboard):
        folder.mkdir()
    assert _ends_the_same(run, whole, cache)


def test_leftovers_torn_lines_and_later_grids_are_gone_after_a_resume(
    run: RunDirectory, whole: Path, cache: Path
) -> None:
    max(run.checkpoints.iterdir()).unlink()
    (run.checkpoints / ".000000000640.pt-0a1b2c3d.partial").write_bytes(b"half")
    (run.path / ".metrics.jsonl-0a1b2c3d.partial").write_bytes(b"half")
    (run.samples / "000000009999.png").write_bytes(b"of another life")
    with run.metrics_file.open("a") as stream:
        stream.write('{"images_se')
    events = max(run.tensorboard.iterdir())
    events.write_bytes(events.read_bytes()[:-7])
    assert _ends_the_same(run, whole, cache)


def test_a_damaged_newest_checkpoint_is_told_in_one_line_by_every_command(
    run: RunDirectory, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    max(run.checkpoints.iterdir()).write_bytes(b"")
    models = str(tmp_path / "models")
    for command in (
        ["evaluate", str(run.path), "--images", "500"],
        ["export", str(run.path), "--name", "g", "--models", models, "--no-evaluation"],
        ["train", "--resume", str(run.path)],
    ):
        caplog.clear()
        assert main([*command, "--cache", str(cache)]) == 0
        assert len([line for line in caplog.messages if "taking the one before it" in line]) == 1, command


@pytest.mark.parametrize("file", ["metrics.jsonl", "samples.webp", "samples"])
def test_a_disk_without_room_ends_a_run_in_one_sentence_and_loses_nothing(
    file: str,
    whole: Path,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whichever file it is that the room ends at."""
    run, synced = RunDirectory(tmp_path / "run"), os.fsync

    def fsync(descriptor: int) -> None:
        if f"/{file}" in str(Path(f"/proc/self/fd/{descriptor}").readlink()).replace("/.", "/"):
            raise OSError(28, "No space left on device")
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert main(BUDGET.arguments(run.path, cache)) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "waiting" not in line]
    assert said.startswith(f"error: {run.path / file}")
    assert "No space left on device" in said
    assert f"--resume {run.path}" in said
    monkeypatch.undo()
    assert list(run.path.rglob("*.partial")) == []
    assert _ends_the_same(run, whole, cache)


def test_a_run_that_is_being_trained_admits_no_other(
    run: RunDirectory, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(run.path / ".lock"):
        for command in (to_go_on(run.path, cache), BUDGET.arguments(run.path, cache)):
            assert main(command) == 1
            assert f"is being trained by process {os.getpid()}" in capsys.readouterr().err


def test_the_animation_shows_every_grid_and_rests_on_the_last(run: RunDirectory) -> None:
    with Image.open(run.animation_file) as animation, Image.open(run.grids()[-1]) as last:
        assert animation.n_frames == len(run.grids()) == 2
        assert animation.size == last.size
        animation.seek(animation.n_frames - 1)
        animation.load()
        assert animation.info["duration"] == 2000


def test_a_damaged_classifier_is_trained_anew(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "_EPOCHS", 1)
    dataset = load_dataset("digits", cache)
    kept = classifier.judge_for(dataset, tmp_path)
    (file,) = tmp_path.glob("judge-*.pt")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert classifier.judge_for(dataset, tmp_path).digest == kept.digest
    assert file.read_bytes() == whole
