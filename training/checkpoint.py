"""Checkpoints: the whole training state, written so that a kill or a full disk costs nothing older.

A checkpoint holds tensors and plain data only; loading one runs no code.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from training.errors import RunError

_NAME = re.compile(r"^(\d{12})\.pt$")
_KEPT = 2


def checkpoint_path(folder: Path, images_seen: int) -> Path:
    """Return where the checkpoint at that many images lies."""
    return folder / f"{images_seen:012d}.pt"


def checkpoints(folder: Path) -> list[Path]:
    """Return the folder's complete checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name))


def save_checkpoint(folder: Path, images_seen: int, state: dict[str, Any]) -> Path:
    """Write the state to a temporary file, sync it, rename it; then drop all but the newest two."""
    final = checkpoint_path(folder, images_seen)
    temporary = final.with_suffix(".partial")
    try:
        with temporary.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(final)
    except RuntimeError as error:  # how torch reports a full disk
        raise RunError(f"{final} could not be written ({error}); the one before it is sound") from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(folder)
    for old in checkpoints(folder)[:-_KEPT]:
        old.unlink()
    return final


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, on the CPU; raises ``RunError`` if it cannot be read."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunError(f"{path} is not a checkpoint that can be read: {error}") from error
    if not isinstance(state, dict):
        raise RunError(f"{path} is not a checkpoint of a training run")
    return state


def newest_checkpoint(folder: Path) -> Path:
    """Return the newest checkpoint; raises ``RunError`` if there is none."""
    found = checkpoints(folder)
    if not found:
        raise RunError(f"{folder} holds no checkpoint yet: the run was stopped before its first one")
    return found[-1]
