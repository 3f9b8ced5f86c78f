"""Changes to a file of keys: one at a time, and whole or not at all, whoever reads it meanwhile."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.access.entries import KeyEntry, parse_entries, read_text
from service.errors import UnusableKeys


def add_entry(path: Path, entry: KeyEntry) -> None:
    """Write one more entry, into a new file if there is none; raises ``UnusableKeys``."""
    with _alone(path) as real:
        text = read_text(real) if real.exists() else ""
        if any(known.id == entry.id for known in parse_entries(text, path)):
            raise UnusableKeys(f"{path}: there is a key of the id {entry.id} already; revoke it first")
        if text and not text.endswith("\n"):
            text += "\n"
        _replace(real, f"{text}{entry.line()}\n")


def remove_entry(path: Path, key_id: str) -> None:
    """Take an entry out, and leave all other lines as they are; raises ``UnusableKeys``."""
    with _alone(path) as real:
        text = read_text(real)
        known = [entry.id for entry in parse_entries(text, path)]
        if key_id not in known:
            raise UnusableKeys(
                f"{path}: there is no key of the id {key_id}; there are {', '.join(known) or 'none'}"
            )
        lines = [line for line in text.split("\n") if not _is_of(line, key_id, path)]
        _replace(real, "\n".join(lines))


def _is_of(line: str, key_id: str, path: Path) -> bool:
    return any(entry.id == key_id for entry in parse_entries(line, path))


@contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """Yield the file that the path leads to; nobody else changes one in its folder until the block ends."""
    real = path.resolve()
    try:
        # The folder is locked and not the file, which is about to be another one.
        folder = os.open(real.parent, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems know no locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield real
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise UnusableKeys(f"{path}: cannot be written ({error.strerror})") from error


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of the old one, for its owner alone, or for whom the old one was."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            _be_as(path, file.fileno())
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _be_as(path: Path, descriptor: int) -> None:
    """Give a new file, which has mode 0600, the owner and the mode of the one that it replaces."""
    if not path.exists():
        return
    old, new = path.stat(), os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o777)
