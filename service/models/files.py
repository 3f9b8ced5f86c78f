"""Reading a model's files: regular ones of the directory itself, and never more of them than was said.

A directory may be reached by symbolic links (a volume's ``current -> ...``), its files may not be links of
either kind: what they name could be changed, or be read, from elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import UnusableModel

# A FIFO or a terminal that stands where a file should must not keep the reader waiting.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_PIECE = 16 * 2**20


@contextmanager
def opened_directory(path: Path) -> Iterator[int]:
    """Open a directory, so that all its files are read from the same one whatever happens to its name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableModel(f"the directory cannot be opened: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(directory: int, name: str, most: int) -> bytes:
    """Return the bytes of a regular file of the open directory, ``most`` at most.

    Raises ``UnusableModel`` naming the file and what is wrong with it.
    """
    _check(name, _status(directory, name))  # before it is opened: to open a device may do something
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    except OSError as error:
        raise _fault(name, error) from None
    try:
        status = os.fstat(descriptor)
        _check(name, status)
        if status.st_size > most:
            raise UnusableModel(f"{name} is {status.st_size} bytes long, and {most} at most are allowed")
        return _read(descriptor, name, status.st_size)
    finally:
        os.close(descriptor)


def _read(descriptor: int, name: str, size: int) -> bytes:
    pieces, left = [], size
    try:
        while left and (piece := os.read(descriptor, min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        grown = bool(os.read(descriptor, 1))
    except OSError as error:
        raise _fault(name, error) from None
    if left or grown:
        raise UnusableModel(f"{name} changed while it was read")
    return b"".join(pieces)


def _status(directory: int, name: str) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        raise _fault(name, error) from None


def _check(name: str, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise UnusableModel(f"{name} is a symbolic link, and must be a file of the directory itself")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableModel(f"{name} is no regular file")
    if status.st_nlink > 1:
        raise UnusableModel(f"{name} is a hard link: {status.st_nlink} names lead to it, and only one may")


def _fault(name: str, error: OSError) -> UnusableModel:
    if error.errno == errno.ENOENT:
        return UnusableModel(f"{name} is missing")
    if error.errno == errno.ELOOP:
        return UnusableModel(f"{name} is a symbolic link, and must be a file of the directory itself")
    return UnusableModel(f"{name} cannot be read: {error.strerror}")
