"""Files that are whole or not there: whichever way brings them to the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forger import Misuse
from forger.bulk import files
from tests.sdk.places import snapshot

CONTENT = {"a/1.png": b"one", "b/2.png": b"two", "b/3.png": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("together", [True, False])
def test_many_files_are_written_either_way(
    together: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once where the system can, else one by one, and each before it has its name."""
    synced: list[str] = []
    if not together:
        monkeypatch.setattr(files, "_SYNCFS", None)
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda one: (synced.append("file"), fsync(one)))
    monkeypatch.setattr(os, "replace", lambda *names: (synced.append("name"), replace(*names)))
    files.write_whole(folder, CONTENT)
    assert {name: content for name, content in snapshot(folder).items() if name[-1] != "/"} == CONTENT
    first_name = synced.index("name")
    assert synced[:first_name].count("file") == (0 if together and files._SYNCFS is not None else 3)
    assert synced[first_name:] == ["name"] * 3 + ["file"] * 2


def test_a_disk_that_fails_is_an_error_and_nothing_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_SYNCFS", lambda _descriptor: -1)
    with pytest.raises(OSError, match=str(folder)):
        files.write_whole(folder, CONTENT)
    assert not [name for name in snapshot(folder) if name.endswith(".png")]


def test_a_file_that_is_not_finished_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"before")

    def write_half() -> None:
        with files.whole_file(place) as file:
            file.write(b"half")
            raise KeyError("something goes wrong")

    with pytest.raises(KeyError):
        write_half()
    assert snapshot(tmp_path) == {"file": b"before"}


def test_a_lock_is_one_processs_and_ends_with_it(tmp_path: Path) -> None:
    one, other = files.Lock(tmp_path / "lock"), files.Lock(tmp_path / "lock")
    one.take()
    with pytest.raises(Misuse, match="another run"):
        other.take()
    one.release()
    other.take()
    other.release()
