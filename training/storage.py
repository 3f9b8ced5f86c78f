"""Files that hold whole things only, whatever happens while they are written.

A file is replaced in one step, or grows by whole pieces. Where the disk is full or fails, ``NotWritten``
names the file and the reason.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from training.errors import NotWritten


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream; once all of it is on the disk, it takes the place of ``path`` in one step.

    A kill leaves at most a hidden ``.partial`` beside it (see :func:`sweep`), anything else leaves nothing.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.partial")
    try:
        with _named(path):
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as :func:`whole_file` does."""
    with whole_file(path) as stream:
        stream.write(content)


class Appender:
    """A file that grows by whole pieces: at once seen by others, and gone if they have no room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _named(path):
            self._stream = path.open("ab", buffering=0)

    def write(self, piece: bytes) -> None:
        """Append all of a piece, or nothing of it."""
        before = self._stream.seek(0, os.SEEK_END)
        rest = memoryview(piece)
        with _named(self._path):
            try:
                while rest:
                    rest = rest[self._stream.write(rest) :]
            except OSError:
                with suppress(OSError):
                    self._stream.truncate(before)
                raise

    def sync(self) -> None:
        """Have all pieces outlive a power cut."""
        with _named(self._path):
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive a power cut, as ``fsync`` does for a file's content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what killed writers of a folder's files, or of the one named, left; all must have ended."""
    for leftover in folder.glob(f".{name}-*.partial"):
        leftover.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what the disk says into ``NotWritten``, which names the file."""
    try:
        yield
    except Exception as error:
        fault = _fault_of_disk(error)
        if fault is None:
            raise
        raise NotWritten(f"{path} could not be written: {fault.strerror or fault}") from error


def _fault_of_disk(error: BaseException) -> OSError | None:
    """Return what the disk said, which torch puts behind an error of its own, or None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
