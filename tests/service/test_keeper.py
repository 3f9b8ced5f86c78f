"""What is served keeps in step with the directory of models, and never becomes what is unsound."""

from __future__ import annotations

import gc
import logging
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.layout import ModelDirectory
from service.engine import Engine
from service.errors import InvalidSettings, UnknownModel
from service.models.administration import Administration
from service.models.decisions import DecisionStore
from service.models.keeper import Keeper
from service.models.loading import load_model
from service.models.served import ServedModel
from service.settings import load_settings
from tests.fakes.models import COLOUR, FakeModel, write_model


def grey(version: int) -> FakeModel:
    return FakeModel("grey", version=version)


class House:
    """A keeper over a directory, and all that it was told and told others."""

    def __init__(self, root: Path, engine: Engine, **settings: object) -> None:
        self.root = root
        self.tried: list[str] = []
        self.events: list[str] = []
        environ = {f"FORGER_{name.upper()}": str(value) for name, value in settings.items()}
        self._settings = load_settings(
            {"FORGER_MODELS_DIR": str(root), "FORGER_DEFAULT_MODEL": "grey", "FORGER_MODELS_POLL_S": "0"}
            | environ
        )
        self._engine = engine
        self.store = DecisionStore(self._settings.state_file)
        self.keeper = Keeper(self._settings, self._load, self.store, self)
        self.commands = Administration(self.keeper)

    def _load(self, directory: ModelDirectory) -> ServedModel:
        self.tried.append(f"{directory.name}:{directory.version}")
        return load_model(directory, self._settings, self._engine, lambda *_: None)

    def model_served(self, model: ServedModel) -> None:
        self.events.append(f"+{model.name}:{model.version}")

    def model_retired(self, model: ServedModel) -> None:
        self.events.append(f"-{model.name}:{model.version}")

    def add(self, fake: FakeModel) -> ModelDirectory:
        """Let a version appear as an export does: written elsewhere, and renamed."""
        written = write_model(self.root / ".new", fake)
        directory = ModelDirectory(self.root, fake.name, fake.version)
        directory.path.parent.mkdir(exist_ok=True)
        written.path.rename(directory.path)
        return directory

    def look(self) -> None:
        self.keeper.look()

    @property
    def served(self) -> list[str]:
        return [f"{model.name}:{model.version}" for model in self.keeper.repository.all()]

    @property
    def current(self) -> int:
        return self.keeper.repository.resolve("grey").version

    def reason(self, name: str, version: int) -> str | None:
        return self.keeper.places[name, version].reason


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    running = Engine("cpu", threads=1)
    yield running
    running.close()


@pytest.fixture
def house(tmp_path: Path, engine: Engine) -> House:
    write_model(tmp_path, grey(1))
    return House(tmp_path, engine)


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
