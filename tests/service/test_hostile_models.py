"""A corpus of hostile and corrupt directories: each is refused for its reason, in little time and memory."""

from __future__ import annotations

import json
import re
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.layout import ModelDirectory
from service.engine import Engine
from service.errors import UnusableModel
from service.models.loading import load_model
from service.settings import load_settings
from tests.fakes.costly_graphs import COSTLY
from tests.fakes.hostile import FILES, MANIFESTS, Change, restate, rewrite_graph
from tests.fakes.hostile_graphs import EXTERNAL, FORBIDDEN, GraphChange, nested
from tests.fakes.models import CONDITIONAL, write_model
from tests.fakes.nobody import as_nobody, open_folder
from tests.fakes.zoo import KINDS, write_kind

_MOST_KIBYTES = 1_200_000
_PATIENCE_S = 60


@pytest.fixture(autouse=True)
def _bounded_memory() -> Iterator[None]:
    """No directory makes the process grow by much more than a gibibyte, however many it asks for."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_KIBYTES


def refusal(directory: ModelDirectory, engine: Engine) -> str:
    """Return why a directory is refused; fails if it is not, or hangs."""
    said: list[str] = []

    def load() -> None:
        settings = load_settings({"FORGER_MODELS_DIR": str(directory.root)})
        try:
            load_model(directory, settings, engine, lambda *_: None)
        except UnusableModel as error:
            said.append(str(error))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    assert not thread.is_alive(), "it hangs"
    assert said, "it is served, or refused for no reason"
    return said[0]


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_not_what_the_manifest_says_are_refused(
    tmp_path: Path, engine: Engine, case: str
) -> None:
    _refused_for(FILES[case], tmp_path, engine)


@pytest.mark.parametrize("case", MANIFESTS)
def test_manifests_that_are_not_sound_are_refused(tmp_path: Path, engine: Engine, case: str) -> None:
    _refused_for(MANIFESTS[case], tmp_path, engine)


def _refused_for(case: tuple[Change, str], root: Path, engine: Engine) -> None:
    change, reason = case
    directory = write_model(root, CONDITIONAL)
    change(directory)
    assert re.search(reason, refusal(directory, engine))


@pytest.mark.parametrize("case", EXTERNAL)
def test_data_from_outside_the_file_are_refused_wherever_they_are_named(
    tmp_path: Path, engine: Engine, case: str
) -> None:
    _graph_refused_for((EXTERNAL[case], "external data"), tmp_path, engine)


@pytest.mark.parametrize("case", FORBIDDEN)
def test_graphs_that_hold_what_no_generator_needs_are_refused(
    tmp_path: Path, engine: Engine, case: str
) -> None:
    _graph_refused_for(FORBIDDEN[case], tmp_path, engine)


@pytest.mark.parametrize(
    ("depth", "reason"), [(1, "a subgraph"), (20, "a subgraph"), (3_000, "no ONNX file")]
)
def test_subgraphs_are_refused_however_deep_they_are(
    tmp_path: Path, engine: Engine, depth: int, reason: str
) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    with directory.generator.open("ab") as file:
        file.write(nested(depth))
    restate(directory)
    assert reason in refusal(directory, engine)


@pytest.mark.parametrize("case", COSTLY)
def test_graphs_that_would_take_too_much_are_refused_before_anything_is_taken(
    tmp_path: Path, engine: Engine, case: str
) -> None:
    _graph_refused_for(COSTLY[case], tmp_path, engine)


def _graph_refused_for(case: tuple[GraphChange, str], root: Path, engine: Engine) -> None:
    change, reason = case
    directory = write_model(root, CONDITIONAL)
    rewrite_graph(directory, change)
    assert re.search(reason, refusal(directory, engine))


def test_a_file_that_cannot_be_read_is_refused(engine: Engine) -> None:
    with open_folder() as root:
        directory = write_model(root, CONDITIONAL)
        directory.generator.chmod(0)
        with as_nobody():
            assert refusal(directory, engine) == "generator.onnx cannot be read: Permission denied"


@pytest.mark.parametrize("kind", KINDS)
def test_what_exporters_write_is_served(tmp_path: Path, engine: Engine, kind: str) -> None:
    """The lists are no wall: convolutions both ways, resizing, norms, attention, shapes of old exporters."""
    directory = write_kind(tmp_path, kind)
    settings = load_settings({"FORGER_MODELS_DIR": str(tmp_path)})
    assert load_model(directory, settings, engine, lambda *_: None).name == kind


def test_a_file_is_read_again_by_no_name(tmp_path: Path, engine: Engine) -> None:
    """What is verified is what is run: a file exchanged afterwards changes nothing."""
    directory = write_model(tmp_path, CONDITIONAL)
    settings = load_settings({"FORGER_MODELS_DIR": str(tmp_path)})

    def exchange(_: ModelDirectory, __: str) -> None:
        directory.generator.write_bytes(b"something else")

    model = load_model(directory, settings, engine, lambda *_: None, exchange)
    assert json.loads(directory.manifest.read_text())["name"] == model.name
