"""A checkpoint is whole or not there, what is damaged is known for it, and the one before it is taken."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch

from training.checkpoint import (
    Damaged,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    load_newest,
    save_checkpoint,
    set_later_aside,
)
from training.errors import NotWritten, RunError

STATE = {"weights": torch.arange(40.0), "plain": [1, 2.5, "three"]}


def test_a_full_disk_never_costs_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, 10, {"a": torch.ones(3)})

    def torn(state: object, stream: object) -> None:
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(NotWritten, match=r"000000000020\.pt could not be written: No space left on device"):
        save_checkpoint(tmp_path, 20, {"a": torch.zeros(3)})
    assert [path.name for path in tmp_path.iterdir()] == ["000000000010.pt"]
    assert load_newest(tmp_path)[1]["a"].tolist() == [1, 1, 1]


def test_a_full_device_is_named_whatever_torch_makes_of_it(tmp_path: Path) -> None:
    """The real writer of torch, on a device that has no room: how it fails depends on where."""
    target = checkpoint_path(tmp_path, 10)
    with pytest.raises(NotWritten, match="No space left on device"):
        _save_to_full_device(target)
    assert list(tmp_path.iterdir()) == []


def _save_to_full_device(target: Path) -> None:
    from training.storage import whole_file

    with whole_file(target) as stream, Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), stream.fileno())
        torch.save({"a": torch.zeros(100_000)}, stream)


def test_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    for images in (10, 20, 30):
        save_checkpoint(tmp_path, images, {"a": torch.ones(3)})
    assert [path.name for path in checkpoints(tmp_path)] == ["000000000020.pt", "000000000030.pt"]


def test_a_checkpoint_cut_at_any_byte_is_known_for_it(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 10, STATE)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Damaged):
            load_checkpoint(path)


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    """Also in a weight, which torch itself would load without a word."""
    path = save_checkpoint(tmp_path, 10, STATE)
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(Damaged):
            load_checkpoint(path)
    path.write_bytes(whole)
    state = load_checkpoint(path)
    assert torch.equal(state.pop("weights"), STATE["weights"])
    assert state == {name: value for name, value in STATE.items() if name != "weights"}


def test_a_damaged_newest_checkpoint_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_checkpoint(tmp_path, 10, STATE)
    newest = save_checkpoint(tmp_path, 20, STATE | {"weights": torch.zeros(40)})
    newest.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        path, state = load_newest(tmp_path)
    assert path == checkpoint_path(tmp_path, 10)
    assert torch.equal(state["weights"], STATE["weights"])
    (said,) = caplog.messages
    assert str(newest) in said
    assert "taking the one before it" in said
    set_later_aside(tmp_path, path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000000000010.pt", "000000000020.damaged"]


def test_checkpoints_that_are_all_damaged_are_never_passed_over_in_silence(tmp_path: Path) -> None:
    for images in (10, 20):
        save_checkpoint(tmp_path, images, STATE).write_bytes(b"PK")
    with pytest.raises(RunError, match="none of the checkpoints"):
        load_newest(tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("true",)

    save_checkpoint(tmp_path, 10, {"a": Hostile()})
    with pytest.raises(Damaged, match="not a checkpoint"):
        load_checkpoint(tmp_path / "000000000010.pt")


def test_a_folder_without_checkpoints_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no checkpoint"):
        load_newest(tmp_path)
