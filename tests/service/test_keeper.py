"""What is served keeps in step with the directory of models, and never becomes what is unsound."""

from __future__ import annotations

import gc
import logging
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.layout import ModelDirectory, model_directories
from service.engine import Engine
from service.errors import InvalidSettings
from service.models import keeper as keeper_module
from tests.fakes.house import House, grey
from tests.fakes.models import COLOUR, FakeModel, write_model
from tests.fakes.nobody import as_nobody, open_folder


def test_a_version_that_appears_is_served_and_one_that_goes_is_not(house: House) -> None:
    house.add(grey(2))
    assert house.current == 1
    house.look()
    assert (house.served, house.current) == (["grey:1", "grey:2"], 2)
    shutil.rmtree(house.root / "grey" / "1")
    house.look()
    assert house.served == ["grey:2"]
    assert house.events == ["+grey:1", "+grey:2", "-grey:1"]


def test_a_model_of_a_new_name_is_served(house: House) -> None:
    house.add(COLOUR)
    house.look()
    assert house.keeper.repository.names == ["colour", "grey"]


def test_nothing_changes_while_nothing_changes(house: House) -> None:
    """Whoever keeps something made of the repository keeps it for as long."""
    before = house.keeper.repository
    for _ in range(3):
        house.look()
    assert house.keeper.repository is before
    assert house.tried == ["grey:1"]


def test_a_corrupt_version_is_refused_once_and_the_old_one_stays(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    broken = house.add(grey(2))
    broken.generator.write_bytes(broken.generator.read_bytes()[:-1] + b"\0")
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            house.look()
    assert house.current == 1
    assert caplog.text.count("grey:2 is left out") == 1
    assert "not the digest" in (house.reason("grey", 2) or "")
    assert house.tried.count("grey:2") == 2  # the second try, in case two writes were one tick apart


def test_a_directory_that_is_copied_slowly_is_served_when_it_is_whole(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_model(house.root / ".new", grey(2))
    copy = house.root / "grey" / "2"
    copy.mkdir()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            house.look()
        (copy / "manifest.json").write_bytes(whole.manifest.read_bytes())
        house.look()
        data = whole.generator.read_bytes()
        for length in range(100, len(data), 300):
            (copy / "generator.onnx").write_bytes(data[:length])
            house.look()
        assert house.current == 1
        (copy / "generator.onnx").write_bytes(data)
        house.look()
    assert house.current == 2
    assert house.reason("grey", 2) is None
    assert caplog.text.count("manifest.json is missing") == 1
    assert caplog.text.count("generator.onnx is missing") == 1


def test_a_served_directory_that_is_changed_in_place_is_complained_of_and_not_reloaded(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    directory = house.add(grey(2))
    house.look()
    digest = house.keeper.repository.resolve("grey:2").digest
    other = write_model(house.root / ".other", FakeModel("grey", version=2, dim=5))
    with caplog.at_level(logging.ERROR):
        for name in ("generator.onnx", "manifest.json"):
            (directory.path / name).write_bytes((other.path / name).read_bytes())
            house.look()
            house.look()
    assert house.keeper.repository.resolve("grey:2").digest == digest
    assert house.tried.count("grey:2") == 1
    assert "holds another model now; what was loaded stays" in (house.reason("grey", 2) or "")
    assert len(caplog.records) == 2  # one for each of the two states


def test_a_served_directory_that_is_only_touched_or_copied_anew_is_not_complained_of(house: House) -> None:
    directory = house.add(grey(2))
    house.look()
    aside = house.root / ".aside"
    shutil.copytree(directory.path, aside)
    shutil.rmtree(directory.path)
    aside.rename(directory.path)
    house.look()
    assert house.reason("grey", 2) is None
    assert house.events == ["+grey:1", "+grey:2"]


def test_the_last_version_of_the_default_model_stays_when_its_directory_goes(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.add(COLOUR)
    house.look()
    shutil.rmtree(house.root / "grey")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            house.look()
    assert house.served == ["colour:1", "grey:1"]
    assert caplog.text.count("grey:1 is the last version of the default model") == 1
    house.add(grey(2))
    house.look()
    assert house.served == ["colour:1", "grey:2"]


def test_nothing_is_unloaded_when_the_whole_directory_is_gone(house: House, tmp_path: Path) -> None:
    """A volume that is not mounted for a moment is no wish to serve nothing."""
    house.add(COLOUR)
    house.look()
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    house.look()
    assert house.served == ["colour:1", "grey:1"]
    tmp_path.with_name("elsewhere").rename(tmp_path)


def test_nothing_is_unloaded_when_the_whole_directory_goes_while_it_is_looked_at(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.add(COLOUR)
    house.look()

    def gone(root: Path, *told: Any) -> list[ModelDirectory]:
        root.rename(root.with_name("elsewhere"))
        return list(model_directories(root, *told))

    monkeypatch.setattr(keeper_module, "model_directories", gone)
    house.look()
    assert house.served == ["colour:1", "grey:1"]
    assert "FORGER_MODELS_DIR cannot be looked at, what was loaded stays" in caplog.text
    tmp_path.with_name("elsewhere").rename(tmp_path)


def test_a_directory_that_cannot_be_listed_is_said_once_and_changes_nothing(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with open_folder() as root:
        write_model(root, grey(1))
        house = House(root, engine)
        root.chmod(0)
        with as_nobody():
            for _ in range(3):
                house.look()
        root.chmod(0o755)
        house.look()
        assert house.served == ["grey:1"]
        assert caplog.text.count("FORGER_MODELS_DIR cannot be looked at") == 1
        assert "Permission denied" in caplog.text


@pytest.mark.parametrize("mode", [0, 0o444], ids=["closed", "listed, not entered"])
def test_a_name_whose_folder_cannot_be_read_harms_no_other(
    engine: Engine, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    with open_folder() as root:
        write_model(root, grey(1))
        folder = write_model(root, COLOUR).path.parent
        house = House(root, engine)
        folder.chmod(mode)
        house.add(grey(2))
        with as_nobody():
            for _ in range(3):
                house.look()
            assert House(root, engine).served == ["grey:1", "grey:2"]
        assert house.served == ["colour:1", "grey:1", "grey:2"]
        assert "Permission denied; what was loaded stays" in (house.reason("colour", 1) or "")
        assert caplog.text.count("model colour:1: its directory was changed") == 1
        assert caplog.text.count("colour cannot be looked at: Permission denied") == 2  # by each of the two
        folder.chmod(0o755)
        house.look()
        assert house.reason("colour", 1) is None


def test_a_version_whose_folder_cannot_be_read_is_refused_for_that(engine: Engine) -> None:
    """As an export leaves it whose owner is somebody else, until its mode is right."""
    with open_folder() as root:
        write_model(root, grey(1))
        house = House(root, engine)
        new = house.add(grey(2))
        new.path.chmod(0)
        with as_nobody():
            house.look()
        assert house.reason("grey", 2) == "the directory cannot be opened: Permission denied"
        new.path.chmod(0o755)
        house.look()
        assert house.current == 2


def test_a_retired_model_is_freed_at_once_without_the_collector(house: House) -> None:
    """The service's collector comes by seldom, and leaves what was there at the start alone."""
    house.add(grey(2))
    house.look()
    gone = weakref.ref(house.keeper.repository.resolve("grey:1").backend)
    gc.disable()
    try:
        shutil.rmtree(house.root / "grey" / "1")
        house.look()
        assert gone() is None
    finally:
        gc.enable()


def test_no_default_is_an_error_at_the_start_only(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(InvalidSettings, match="holds no model"):
        House(tmp_path, engine)


@pytest.mark.parametrize(
    "files", [lambda path: path.write_text("x"), lambda path: path.symlink_to("/nowhere")]
)
def test_what_is_no_directory_is_passed_over(house: House, files: Callable[[Path], object]) -> None:
    files(house.root / "grey" / "3")
    files(house.root / "other")
    house.look()
    assert house.served == ["grey:1"]


def test_directories_may_be_reached_by_links(house: House, tmp_path: Path) -> None:
    """As volumes are mounted: ``current -> ...``; files may not."""
    real = write_model(tmp_path / ".store", grey(5))
    (house.root / "grey" / "5").symlink_to(real.path)
    house.look()
    assert house.current == 5


def test_the_thread_looks_again_and_again_until_it_is_closed(tmp_path: Path, engine: Engine) -> None:
    write_model(tmp_path, grey(1))
    house = House(tmp_path, engine, models_poll_s=0.1)
    house.keeper.start()
    house.add(grey(2))
    served = threading.Event()
    threading.Thread(target=lambda: _wait_for(house, served), daemon=True).start()
    assert served.wait(60)
    house.keeper.close()
    house.add(grey(3))
    assert house.current == 2


def _wait_for(house: House, served: threading.Event) -> None:
    pause = threading.Event()
    while house.current != 2:
        pause.wait(0.02)
    served.set()


def test_the_whole_directory_may_be_a_link_that_leads_elsewhere_one_day(
    tmp_path: Path, engine: Engine
) -> None:
    """As volumes are renewed: all at once, by another link."""
    for release, versions in (("one", (1, 2)), ("two", (2, 3))):
        for version in versions:
            write_model(tmp_path / release, grey(version))
    link = tmp_path / "current"
    link.symlink_to("one")
    house = House(link, engine)
    assert house.served == ["grey:1", "grey:2"]
    other = tmp_path / "other"
    other.symlink_to("two")
    other.rename(link)
    house.look()
    assert house.served == ["grey:2", "grey:3"]
    assert house.tried == ["grey:1", "grey:2", "grey:3"]
