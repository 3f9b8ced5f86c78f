"""Bulk runs: the same bytes whatever happens on the way, nothing twice, nothing missing, the rest told."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forger import ChangedJob, ChangedModel, Client, Misuse, verify
from forger.bulk import job as job_module
from forger.bulk.sinks import sink_of
from forger.errors import InvalidInput, ModelOutput
from tests.fakes.models import FakeModel, write_model
from tests.fakes.server import ServerProcess
from tests.sdk.places import SINKS, place_in, sink_in, snapshot

N = 300


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments of a few hundred images: 128 each, two requests."""
    monkeypatch.setattr(job_module, "_SEGMENT_IMAGES", 128)


@pytest.fixture(scope="module")
def undrawable(server: ServerProcess) -> list[int]:
    """The images of seed 0, of the first 400, that the model cannot draw: by asking for each alone."""

    def is_drawn(first: int, n: int) -> bool:
        try:
            return bool(client.generate(n, model="patchy", seed=0, index=first))
        except ModelOutput:
            return False

    with Client(server.url) as client:
        tens = [first for first in range(0, 400, 10) if not is_drawn(first, 10)]
        return [index for first in tens for index in range(first, first + 10) if not is_drawn(index, 1)]


def drawn(client: Client, kind: str, folder: Path, **how: Any) -> dict[str, bytes]:
    """Draw the images of the tests into a folder, and return what lies there."""
    given = {"seed": 7, "class_label": "balanced", "truncation": ("threshold", 1.0)} | how
    report = client.bulk(N, sink=sink_in(kind, folder), **given)
    assert report.is_complete
    return snapshot(folder)


@pytest.mark.parametrize("kind", SINKS)
def test_the_bytes_do_not_depend_on_how_many_requests_are_under_way(
    kind: str, client: Client, tmp_path: Path
) -> None:
    first, *others = (
        drawn(client, kind, tmp_path / str(at_once), concurrency=at_once) for at_once in (1, 3, 16)
    )
    assert all(other == first for other in others)
    assert not [name for name in first if ".forger/" in name or "partial" in name]


@pytest.mark.parametrize("kind", SINKS)
def test_a_run_that_broke_off_goes_on_to_the_same_bytes(
    kind: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the second segment; later there is room, and only what is missing is drawn."""
    whole = drawn(client, kind, tmp_path / "whole")
    sink = sink_in(kind, tmp_path / "broken")
    cls, calls = type(sink_of(sink)), itertools.count()
    write = cls.write

    def full(self: Any, *given: Any) -> None:
        if next(calls) == 1:
            raise OSError(28, "No space left on device")
        write(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(cls, "write", full)
        with pytest.raises(OSError, match="No space"):
            drawn(client, kind, tmp_path / "broken")
    report = client.bulk(
        N, sink=sink, seed=7, class_label="balanced", truncation=("threshold", 1.0), resume=True
    )
    assert report.is_complete
    assert report.drawn < N
    assert snapshot(tmp_path / "broken") == whole


@pytest.mark.parametrize("kind", SINKS)
def test_what_is_finished_is_not_drawn_again(kind: str, client: Client, tmp_path: Path) -> None:
    whole = drawn(client, kind, tmp_path)
    with pytest.raises(ChangedJob, match="resume"):
        drawn(client, kind, tmp_path)
    sink_of(sink_in(kind, tmp_path)).state.mkdir(exist_ok=True)  # as a kill in the last moment leaves it
    assert drawn(client, kind, tmp_path, resume=True) == whole


def test_a_seed_that_was_drawn_is_kept(client: Client, tmp_path: Path) -> None:
    sink = f"npz:{tmp_path}/out.npz"
    seed = client.bulk(10, sink=sink).job.seed
    assert client.bulk(10, sink=sink, resume=True).job.seed == seed
    assert client.bulk(10, sink=f"npz:{tmp_path}/other.npz").job.seed != seed


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"class_label": "random"},
        {"truncation": ("threshold", 0.9)},
        {"truncation": None},
        {"n": N + 1},
    ],
)
def test_a_run_with_other_arguments_is_refused_and_told_which(
    other: dict[str, Any], client: Client, tmp_path: Path
) -> None:
    sink = sink_in("npz", tmp_path)
    drawn(client, "npz", tmp_path)
    how = {"n": N, "seed": 7, "class_label": "balanced", "truncation": ("threshold", 1.0)} | other
    with pytest.raises(ChangedJob, match=next(iter(other))):
        client.bulk(how.pop("n"), sink=sink, resume=True, **how)


@pytest.mark.parametrize("label", [{3: 0.5, "four": 0.5}, np.int64(3), "three", 3, None])
def test_labels_are_the_same_when_a_run_is_taken_up(label: Any, client: Client, tmp_path: Path) -> None:
    sink = f"npz:{tmp_path}/out.npz"
    client.bulk(5, sink=sink, class_label=label)
    assert client.bulk(5, sink=sink, class_label=label, resume=True).drawn == 0


def test_another_model_of_the_same_name_does_not_go_on(tmp_path: Path) -> None:
    """Its digest tells. What lies there stays as it is."""
    sink = sink_in("npz", tmp_path / "out")

    def served(fake: FakeModel, n: int) -> None:
        models = tmp_path / "models"
        shutil.rmtree(models, ignore_errors=True)
        write_model(models, fake)
        with ServerProcess(tmp_path / "home", models_dir=models) as server, Client(server.url) as client:
            client.bulk(n, sink=sink, seed=0, resume=True)

    served(FakeModel("one", dim=4), 10)
    before = snapshot(tmp_path / "out")
    with pytest.raises(ChangedModel, match="one:1"):
        served(FakeModel("one", dim=5), 10)
    assert snapshot(tmp_path / "out") == before


def test_images_that_cannot_be_drawn_are_told_one_by_one(
    client: Client, undrawable: list[int], tmp_path: Path
) -> None:
    sink, n, expected = sink_in("npz", tmp_path), 400, undrawable
    assert 1 < len(expected) < n / 10
    report = client.bulk(n, sink=sink, seed=0, model="patchy")
    assert sorted(report.failures) == expected
    assert all(reason.startswith("model-output: ") for reason in report.failures.values())
    assert (report.is_complete, report.is_finished) == (False, False)
    again = client.bulk(n, sink=sink, seed=0, model="patchy", resume=True)
    assert sorted(again.failures) == expected
    with pytest.raises(Misuse, match="no finished run"):
        verify(place_in("npz", tmp_path))


@pytest.mark.parametrize("kind", SINKS)
def test_a_run_may_finish_without_them(
    kind: str, client: Client, undrawable: list[int], tmp_path: Path
) -> None:
    """Each way there leads to the same bytes, and the manifest tells what is missing and why."""
    n, expected = 400, undrawable
    how: dict[str, Any] = {"seed": 0, "model": "patchy"}
    direct = client.bulk(n, sink=sink_in(kind, tmp_path / "direct"), allow_missing=True, **how)
    assert sorted(direct.failures) == expected
    assert (direct.is_complete, direct.is_finished, direct.drawn) == (False, True, n - len(expected))
    client.bulk(n, sink=sink_in(kind, tmp_path / "later"), **how)
    later = client.bulk(
        n, sink=sink_in(kind, tmp_path / "later"), allow_missing=True, resume=True, concurrency=1, **how
    )
    assert later.failures == direct.failures
    assert snapshot(tmp_path / "later") == snapshot(tmp_path / "direct")
    found = verify(place_in(kind, tmp_path / "direct"))
    assert (found.is_sound, found.images) == (True, n - len(expected))
    again = client.bulk(n, sink=sink_in(kind, tmp_path / "direct"), resume=True, **how)
    assert (again.failures, again.drawn) == (direct.failures, 0)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"class_label": "eleven"}, InvalidInput),
        ({"truncation": ("threshold", 9)}, InvalidInput),
        ({"class_label": ["one", "two"]}, Misuse),
        ({"class_label": 1.5}, Misuse),
        ({"concurrency": -1}, Misuse),
        ({"seed": -1}, Misuse),
        ({"seed": 2**53}, Misuse),
        ({"n": 0}, Misuse),
        ({"model": "vector"}, Misuse),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing(
    wrong: dict[str, Any], error: type[Exception], client: Client, tmp_path: Path
) -> None:
    """So that the same command, put right, begins."""
    how = {"n": 20, "seed": 0, "sink": sink_in("folder", tmp_path)} | wrong
    with pytest.raises(error):
        client.bulk(how.pop("n"), **how)
    left = [name for name in snapshot(tmp_path) if name != "out/"]
    assert left == []
    assert client.bulk(20, seed=0, sink=sink_in("folder", tmp_path)).is_complete


@pytest.mark.parametrize("text", ["", "out", "npz:", "tar:out", "wds:out", "wds:out/%s.tar", "wds:%d-%d.tar"])
def test_a_sink_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Misuse):
        sink_of(text)


def test_a_file_is_not_written_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="folder"):
        sink_of(f"npz:{tmp_path}")


def test_two_runs_do_not_write_to_one_place(client: Client, tmp_path: Path) -> None:
    text = sink_in("npz", tmp_path)
    client.bulk(400, sink=text, seed=0, model="patchy")  # not finished
    other = sink_of(text)
    begun = other.begun()
    assert begun is not None
    other.begin(begun)
    with pytest.raises(Misuse, match="another run"):
        client.bulk(400, sink=text, seed=0, model="patchy", resume=True)
    other.close()
    assert client.bulk(400, sink=text, seed=0, model="patchy", resume=True, allow_missing=True).is_finished


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"job": {}}'])
def test_a_strangers_file_is_not_taken_for_a_run(content: str, client: Client, tmp_path: Path) -> None:
    sink = sink_in("npz", tmp_path)
    (tmp_path / "out.npz.forger.json").write_text(content)
    with pytest.raises(Misuse, match="not what a bulk run wrote"):
        client.bulk(5, sink=sink, resume=True)
    with pytest.raises(Misuse, match="not what a bulk run wrote"):
        verify(tmp_path / "out.npz")


def test_vectors_are_held_by_npz(client: Client, tmp_path: Path) -> None:
    client.bulk(5000, sink=f"npz:{tmp_path}/out.npz", seed=3, model="vector")
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays.files == ["arr_0"]
        assert (arrays["arr_0"] == client.generate(5000, seed=3, model="vector").array).all()
    assert verify(tmp_path / "out.npz").images == 5000


def test_the_manifest_tells_how_to_draw_it_all_again(client: Client, tmp_path: Path) -> None:
    drawn(client, "npz", tmp_path)
    told = json.loads((tmp_path / "out.npz.forger.json").read_text())
    job = told["job"]
    assert (job["n"], job["seed"], job["model"], job["version"]) == (N, 7, "grey", 1)
    assert job["digest"] == client.model("grey").digest
    assert "missing" not in told
    with np.load(tmp_path / "out.npz") as arrays:
        again = client.generate(
            20, seed=job["seed"], index=40, class_label=job["class_label"], truncation=job["truncation"]
        )
        assert (arrays["arr_0"][40:60] == again.array).all()
        assert (arrays["arr_1"] == np.arange(N) % 10).all()
