"""Files that are whole or not there."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from forger.errors import Misuse

if sys.platform != "win32":
    import fcntl

_READ_AT_ONCE = 2**20
_SYNCFS = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
PARTIAL = ".partial"
"""The suffix of a file that is being written; one that is found was left by a run that was killed."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written; it takes its place, on the disk, when the block ends without an error."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write many files by their names under a folder, each whole or not there; they outlast a loss of power.

    All are written first, and brought to the disk together: one by one it takes several times as long.
    """
    # Paths are plain texts here: a Path keeps its parts for good, and there may be a million.
    paths = [f"{folder}/{name}" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        with open(path + PARTIAL, "wb") as file:  # noqa: PTH123 - see above
            file.write(content)
    if not _sync_disk_of(folder):
        for path in paths:
            with open(path + PARTIAL, "rb+") as file:  # noqa: PTH123 - see above
                os.fsync(file.fileno())
    for path in paths:
        os.replace(path + PARTIAL, path)  # noqa: PTH105 - see above
    for inner in {name.rpartition("/")[0] for name in files}:
        sync_folder(folder / inner)


def _sync_disk_of(folder: Path) -> bool:
    """Bring all that was written to a folder's file system to its disk; False where the system cannot.

    Source: syncfs(2), of Linux. Since 5.8 it fails if anything could not be written.
    """
    if _SYNCFS is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _SYNCFS(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
    return True


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the digest of a file's content."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_READ_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


class Lock:
    """That one process writes to a place, and no other. It ends with its process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def take(self) -> None:
        """Take it; raises ``Misuse`` if another process has it. Systems without such locks have none here."""
        self._file = self._path.open("ab")
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                raise Misuse(f"another run is writing to {self._path.parent}") from None

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None
