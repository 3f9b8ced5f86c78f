"""What an operator decides holds: against what comes and goes, in other processes, and after a crash."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from contract.layout import ModelDirectory
from service.engine import Engine
from service.errors import UnknownModel
from service.models.decisions import DecisionStore
from service.models.served import ServedModel
from tests.fakes.house import House, grey
from tests.fakes.models import COLOUR, write_model


def test_a_pinned_version_is_current_whatever_comes(house: House) -> None:
    house.add(grey(2))
    house.look()
    assert house.commands.pin("grey", 1).pinned
    house.add(grey(3))
    house.look()
    assert (house.current, house.keeper.repository.resolve("grey:3").version) == (1, 3)
    house.commands.unpin("grey")
    assert house.current == 3


def test_a_pinned_version_stays_when_its_directory_goes(house: House) -> None:
    """Whoever pinned it went back from the newer one for a reason."""
    house.add(grey(2))
    house.look()
    house.commands.pin("grey", 1)
    shutil.rmtree(house.root / "grey" / "1")
    house.look()
    assert (house.current, house.served) == (1, ["grey:1", "grey:2"])
    assert "grey:1 is pinned" in (house.reason("grey", 1) or "")
    house.commands.unpin("grey")
    house.look()
    assert (house.current, house.served) == (2, ["grey:2"])


@pytest.mark.parametrize(
    ("versions", "pin", "current"),
    [([1, 2, 3], None, 3), ([1, 2, 3], 2, 2), ([1, 3], 2, 1), ([3, 4], 2, 4)],
)
def test_a_pin_to_what_is_not_there_means_nothing_newer(
    tmp_path: Path, engine: Engine, versions: list[int], pin: int | None, current: int
) -> None:
    for version in versions:
        write_model(tmp_path, grey(version))
    state = tmp_path / "state.json"
    DecisionStore(state).change(lambda decided: decided.pinned("grey", pin))
    assert House(tmp_path, engine, state_file=state).current == current


def test_rolling_back_goes_version_by_version(house: House) -> None:
    for version in (4, 7):
        house.add(grey(version))
    house.look()
    assert [house.commands.rollback("grey").version for _ in range(2)] == [4, 1]
    assert house.current == 1


def test_a_command_is_of_one_moment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the one in which a model is loaded and no request finds it yet."""
    house.add(COLOUR)
    publish, refused = house.keeper.publish, []

    def ask_before() -> None:
        for command in (house.commands.rollback, house.commands.unpin):
            with pytest.raises(UnknownModel, match="available: grey"):
                command("colour")
        assert [(one.name, one.current) for one in house.commands.standings()] == [
            ("colour", False),
            ("grey", True),
        ]
        refused.append("colour")
        monkeypatch.undo()
        publish()

    monkeypatch.setattr(house.keeper, "publish", ask_before)
    house.look()
    assert refused == ["colour"]
    assert [one.current for one in house.commands.standings()] == [True, True]


def test_what_was_unloaded_stays_so_until_it_is_loaded(house: House) -> None:
    house.add(grey(2))
    house.look()
    assert house.commands.unload("grey", 2).state == "unloaded"
    house.look()
    assert house.served == ["grey:1"]
    with pytest.raises(UnknownModel):
        house.keeper.repository.resolve("grey:2")
    assert house.commands.load("grey", 2).state == "served"
    assert house.current == 2


def test_what_was_decided_outlives_the_process_and_reaches_the_others(tmp_path: Path, engine: Engine) -> None:
    for version in (1, 2, 3):
        write_model(tmp_path, grey(version))
    state = tmp_path / "state.json"
    one, other = (House(tmp_path, engine, state_file=state) for _ in range(2))
    one.commands.rollback("grey")
    one.commands.unload("grey", 3)
    other.look()
    for house in (one, other, House(tmp_path, engine, state_file=state)):
        assert (house.current, house.served) == (2, ["grey:1", "grey:2"])


def test_a_state_file_that_is_damaged_changes_nothing(
    tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    for version in (1, 2):
        write_model(tmp_path, grey(version))
    state = tmp_path / "state.json"
    house = House(tmp_path, engine, state_file=state)
    house.commands.rollback("grey")
    for damage in ("", "{", '{"pins": [{"name": "../x", "version": 1}], "unloaded": []}', "[]"):
        state.write_text(damage)
        house.look()
        assert house.current == 1
    assert caplog.text.count("FORGER_STATE_FILE cannot be read") == 1
    assert House(tmp_path, engine, state_file=state).current == 2


def test_what_was_decided_stays_when_the_file_goes(
    tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A volume that is not mounted for a moment is no wish to serve what was taken away."""
    for version in (1, 2, 3):
        write_model(tmp_path, grey(version))
    state = tmp_path / "state.json"
    house = House(tmp_path, engine, state_file=state)
    house.look()
    assert not caplog.text  # where nothing was decided yet, there is no file
    house.commands.pin("grey", 1)
    house.commands.unload("grey", 3)
    state.unlink()
    for _ in range(3):
        house.look()
    assert (house.current, house.served) == (1, ["grey:1", "grey:2"])
    assert caplog.text.count("what was decided last stays: No such file or directory") == 1
    house.commands.pin("grey", 2)
    again = House(tmp_path, engine, state_file=state)
    assert (again.current, again.served) == (2, ["grey:1", "grey:2"])


def test_what_is_decided_again_mends_a_damaged_file(house: House, tmp_path: Path, engine: Engine) -> None:
    """Whoever was told that a version is pinned may rely on it, whatever becomes of this process."""
    house.add(grey(2))
    state = tmp_path / "state.json"
    one = House(tmp_path, engine, state_file=state)
    one.commands.pin("grey", 1)
    state.write_text("{")
    one.look()
    assert one.commands.pin("grey", 1).pinned
    assert House(tmp_path, engine, state_file=state).current == 1


def test_what_could_not_be_kept_is_not_decided(
    house: House, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk: the file is as before, nothing lies beside it, and no version is current by it."""
    house.add(grey(2))
    state = tmp_path / "state" / "models.json"
    state.parent.mkdir()
    one = House(tmp_path, engine, state_file=state)
    one.commands.pin("grey", 2)
    before = state.read_bytes()
    state.write_text("{")  # what was known of it is all that there is

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            one.commands.pin("grey", 1)
    one.look()
    assert one.current == 2
    assert [file.name for file in state.parent.iterdir() if not file.name.endswith(".lock")] == [
        "models.json"
    ]
    one.commands.pin("grey", 2)
    assert state.read_bytes() == before


def test_decisions_of_many_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def decide(number: int) -> None:
        DecisionStore(path).change(lambda decided: decided.pinned(f"model-{number}", 1))

    threads = [threading.Thread(target=decide, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(DecisionStore(path).read().pins) == 16


def test_a_rollback_does_not_wait_for_what_is_being_loaded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile directory may keep its trial busy for minutes, just when a bad version must go."""
    house.add(grey(2))
    house.look()
    house.add(grey(3))
    begun, may_end, load = threading.Event(), threading.Event(), house.keeper._load

    def slowly(directory: ModelDirectory) -> ServedModel:
        begun.set()
        assert may_end.wait(60)
        return load(directory)

    monkeypatch.setattr(house.keeper, "_load", slowly)
    look = threading.Thread(target=house.look)
    look.start()
    assert begun.wait(60)
    assert house.commands.rollback("grey").version == 1
    assert house.current == 1
    assert [one.current for one in house.commands.standings()] == [True, False, False]
    may_end.set()
    look.join()
    assert (house.current, house.served) == (1, ["grey:1", "grey:2", "grey:3"])


def test_what_was_unloaded_comes_back_when_nothing_else_is_left_of_the_default_model(
    tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that dies is replaced, whatever has become of the only version that it served."""
    for version in (1, 2, 3):
        write_model(tmp_path, grey(version))
    write_model(tmp_path, COLOUR)
    state = tmp_path / "state.json"
    house = House(tmp_path, engine, state_file=state)
    house.commands.unload("grey", 1)
    house.commands.unload("grey", 2)
    for damaged in (2, 3):
        (tmp_path / "grey" / str(damaged) / "generator.onnx").write_bytes(b"")
    again = House(tmp_path, engine, state_file=state)
    assert (again.current, again.served) == (1, ["colour:1", "grey:1"])
    again.look()
    assert again.current == 1
    assert caplog.text.count("stays, as grey:1 is the last version of the default model") == 1


def test_what_was_unloaded_comes_back_when_nothing_at_all_is_left(tmp_path: Path, engine: Engine) -> None:
    """Without a setting the default model is the first by name."""
    for model in (grey(1), grey(2), COLOUR):
        write_model(tmp_path, model)
    state = tmp_path / "state.json"
    house = House(tmp_path, engine, state_file=state)
    house.commands.unload("grey", 1)
    house.commands.unload("colour", 1)
    shutil.rmtree(tmp_path / "grey" / "2")
    again = House(tmp_path, engine, state_file=state, default_model=None)
    assert again.served == ["colour:1"]
