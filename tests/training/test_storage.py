"""Files hold whole things only, locks admit one, and what is kept half-made is made anew."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.data import load_dataset
from training.errors import NotWritten
from training.journal import Journal
from training.locks import Held, locked, locked_when_free
from training.storage import Appender, sweep, whole_file, write_whole


def _no_room(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_not_wholly_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", b"before")
    monkeypatch.setattr(os, "fsync", _no_room)
    with pytest.raises(NotWritten, match="file could not be written: No space left on device"):
        write_whole(tmp_path / "file", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_a_fault_that_is_not_the_disks_stays_what_it_is(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "file"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_killed_are_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".file-0a1b2c3d.partial", ".other-0a1b2c3d.partial", "file", "partial"):
        (tmp_path / name).write_bytes(b"")
    sweep(tmp_path, "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".other-0a1b2c3d.partial", "file", "partial",
    ]  # fmt: skip


def test_a_piece_without_room_is_not_appended_in_part(tmp_path: Path) -> None:
    """A real limit on the size of files, in a process of its own: the first write is cut short."""
    program = (
        "import resource, sys; from pathlib import Path; from training.storage import Appender\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "file = Appender(Path(sys.argv[1])); file.write(bytes(60))\n"
        "try: file.write(bytes(60))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    path = tmp_path / "file"
    said = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(f"NotWritten {path} could not be written: File too large")
    assert path.stat().st_size == 60


def test_a_device_without_room_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    file = Appender(tmp_path / "metrics.jsonl")
    with pytest.raises(NotWritten, match=r"metrics\.jsonl could not be written: No space left on device"):
        file.write(b"a line\n")
    file.close()


def test_a_journal_is_cut_back_to_where_a_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"images_seen": 10}\n{"images_seen": 20}\n{"images_seen": 30}\n{"images_seen": 3')
    journal = Journal(path, images_seen=20)
    journal.write(30, loss=0.5)
    journal.close()
    assert path.read_text() == '{"images_seen": 10}\n{"images_seen": 20}\n{"images_seen": 30, "loss": 0.5}\n'


def _hold(path: Path, has_it: object, may_end: object) -> None:
    with locked(path):
        has_it.set()
        may_end.wait()


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    """Also where the holder is killed: nothing is left to clean up."""
    processes = multiprocessing.get_context("spawn")
    has_it, may_end = processes.Event(), processes.Event()
    holder = processes.Process(target=_hold, args=(tmp_path / "lock", has_it, may_end))
    holder.start()
    assert has_it.wait(60)
    with pytest.raises(Held, match=f"process {holder.pid}"), locked(tmp_path / "lock"):
        pass
    holder.kill()
    holder.join()
    with locked(tmp_path / "lock"):
        pass


def test_who_waits_for_a_lock_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    processes = multiprocessing.get_context("spawn")
    has_it, may_end = processes.Event(), processes.Event()
    holder = processes.Process(target=_hold, args=(tmp_path / "lock", has_it, may_end))
    holder.start()
    assert has_it.wait(60)

    class Ends(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            may_end.set()

    logger = logging.getLogger("training.locks")
    logger.addHandler(handler := Ends())
    with locked_when_free(tmp_path / "lock", "reading the data"):
        assert caplog.messages == [f"waiting for process {holder.pid}, which is reading the data"]
    logger.removeHandler(handler)
    holder.join()


@pytest.mark.parametrize("damage", ["cut", "changed", "torn facts", "gone"])
def test_a_damaged_cache_of_data_is_made_anew(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = load_dataset("digits", tmp_path)
    (place,) = (path for path in tmp_path.iterdir() if path.is_dir())
    samples, facts = place / "samples.npy", place / "facts.json"
    content = bytearray(samples.read_bytes())
    samples.unlink()  # the first reader goes on with what it has mapped
    content[5000] ^= 1
    match damage:
        case "cut":
            samples.write_bytes(content[:5000])
        case "changed":
            samples.write_bytes(content)
        case "torn facts":
            samples.write_bytes(content)
            facts.write_bytes(facts.read_bytes()[:20])
    again = load_dataset("digits", tmp_path)
    assert again.digest == whole.digest
    assert np.array_equal(again.samples, whole.samples)
    assert "reading the data anew" in caplog.text


def test_leftovers_of_a_killed_reading_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".digits-1-abcdefgh"
    leftover.mkdir()
    (leftover / "samples.npy").write_bytes(b"half")
    load_dataset("digits", tmp_path)
    assert not leftover.exists()


def test_a_cache_on_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _no_room)
    with pytest.raises(NotWritten, match="digits-1 could not be written: No space left on device"):
        load_dataset("digits", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".digits-1.lock"]
