"""Advisory locks on files: one process at a time, and free again however that process ends."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger("training.locks")

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Some network file systems know no locks. To train there without one is better than not at all."""


class Held(Exception):
    """Another process has the lock; the message names it."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file, which is made; raises ``Held`` if another process does.

    The file stays: were it removed, two processes could lock two files of the same name.
    """
    with _opened(path) as descriptor:
        if not _taken(descriptor, fcntl.LOCK_NB):
            raise Held(_holder(descriptor))
        _sign(descriptor)
        yield


@contextmanager
def locked_when_free(path: Path, purpose: str) -> Iterator[None]:
    """Hold the lock on a file, after waiting for whoever does; a wait is told, with its purpose."""
    with _opened(path) as descriptor:
        if not _taken(descriptor, fcntl.LOCK_NB):
            logger.warning("waiting for %s, which is %s", _holder(descriptor), purpose)
            _taken(descriptor, 0)
        _sign(descriptor)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # which frees the lock


def _taken(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | mode)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
    return True


def _sign(descriptor: int) -> None:
    """Write who holds the lock, for people; a full disk is no reason not to hold it."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _holder(descriptor: int) -> str:
    number = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return f"process {number}" if number.isdecimal() else "another process"
