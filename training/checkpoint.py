"""Checkpoints: the whole training state, written so that a kill or a full disk costs nothing older.

A checkpoint holds tensors and plain data only; loading one runs no code. It is what torch writes, and a seal:
the sha256 of it. Torch itself would take a flipped bit in a weight for the weight, and the sums in its
archive leave the archive's directory uncovered.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch

from training.errors import RunError
from training.storage import whole_file

logger = logging.getLogger("training.checkpoint")

_NAME = re.compile(r"^(\d{12})\.pt$")
_KEPT = 2
_MARK = b"\nforger sha256 "
_SEAL_BYTES = len(_MARK) + 64
_CHUNK_BYTES = 2**20


class Damaged(RunError):
    """A checkpoint is not what was written."""


def checkpoint_path(folder: Path, images_seen: int) -> Path:
    """Return where the checkpoint at that many images lies."""
    return folder / f"{images_seen:012d}.pt"


def images_seen_at(path: Path) -> int:
    """Return how many images had been seen at a checkpoint."""
    return int(path.stem)


def checkpoints(folder: Path) -> list[Path]:
    """Return the folder's complete checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name))


def save_checkpoint(folder: Path, images_seen: int, state: dict[str, Any]) -> Path:
    """Write the state, whole or not at all; then drop all but the newest two.

    Raises ``NotWritten`` where the disk is full or fails; older checkpoints stay as they are.
    """
    final = checkpoint_path(folder, images_seen)
    write_sealed(final, state)
    for old in checkpoints(folder)[:-_KEPT]:
        old.unlink()
    return final


def write_sealed(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data with their seal, whole or not at all."""
    with whole_file(path) as stream:
        sealing = _Sealing(stream)
        torch.save(state, cast("IO[bytes]", sealing))  # it writes and flushes, no more
        stream.write(sealing.seal())


class _Sealing:
    """A stream that passes on what it is given, and knows its digest."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def write(self, piece: bytes) -> int:
        self._digest.update(piece)
        return self._stream.write(piece)

    def flush(self) -> None:
        self._stream.flush()

    def seal(self) -> bytes:
        return _MARK + self._digest.hexdigest().encode()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, on the CPU; raises ``Damaged`` if it is not what was written."""
    try:
        with path.open("rb") as stream:
            _check_seal(stream)
            state = torch.load(stream, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # whatever reading garbage may bring about
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Damaged(f"{path} is not a checkpoint that can be read: {reason}") from error
    if not isinstance(state, dict):
        raise Damaged(f"{path} is not a checkpoint of a training run")
    return state


def _check_seal(stream: BinaryIO) -> None:
    """Raise ``ValueError`` unless the file ends in the digest of all before it; rewinds the stream."""
    left = stream.seek(0, os.SEEK_END) - _SEAL_BYTES
    if left <= 0:
        raise ValueError("the file is empty" if stream.tell() == 0 else "the file is cut short")
    digest = hashlib.sha256()
    stream.seek(0)
    while left:
        chunk = stream.read(min(left, _CHUNK_BYTES))
        digest.update(chunk)
        left -= len(chunk)
    if stream.read() != _MARK + digest.hexdigest().encode():
        raise ValueError("its content and its digest differ, or it is cut short")
    stream.seek(0)


def load_newest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the newest checkpoint that is sound, and the state in it; each damaged one is named in the log.

    Raises ``RunError`` if there is none.
    """
    found = checkpoints(folder)
    if not found:
        raise RunError(f"{folder} holds no checkpoint yet: the run was stopped before its first one")
    for path in reversed(found):
        try:
            state = load_checkpoint(path)
        except Damaged as damage:
            logger.warning("%s; taking the one before it", damage)
        else:
            return path, state
    raise RunError(
        f"none of the checkpoints in {folder} can be read; without them, --resume would begin the run anew: "
        "remove them for that"
    )


def go_back(folder: Path, best: Path) -> None:
    """Make a copy of ``best`` the folder's newest checkpoint; later ones are dropped once it is safe."""
    final = folder / best.name
    with whole_file(final) as copy, best.open("rb") as stream:
        shutil.copyfileobj(stream, copy)
    for path in checkpoints(folder):
        if path.name > final.name:
            path.unlink()


def set_later_aside(folder: Path, sound: Path) -> None:
    """Rename the checkpoints later than the one that a run goes on from: they are damaged.

    Left in place they would count among the newest that are kept.
    """
    for path in checkpoints(folder):
        if path.name > sound.name:
            path.replace(path.with_suffix(".damaged"))
