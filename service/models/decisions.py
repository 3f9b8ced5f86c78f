"""What an operator decided of the models: pinned versions, and versions that are not to be served.

They are kept in a file that all worker processes read: one that crashes and is started again, or another
beside it, keeps to them. The supervisor makes one that ends with the service, if no setting names one.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.layout import NAME_PATTERN

logger = logging.getLogger("forger.repository")

_SHARED = "_FORGER_STATE_FILE"
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class Decisions:
    """Versions that are pinned, by name, and those that were unloaded."""

    pins: Mapping[str, int] = field(default_factory=dict)
    unloaded: frozenset[tuple[str, int]] = frozenset()

    def pinned(self, name: str, version: int | None) -> Decisions:
        """Return the same with a name pinned to a version, or to none."""
        others = {other: pin for other, pin in self.pins.items() if other != name}
        return replace(self, pins=others if version is None else {**others, name: version})


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pins: list[_Model]
    unloaded: list[_Model]


class DecisionStore:
    """The file, or this process's memory if there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = Decisions()
        self._fault: str | None = None

    def beside(self, ending: str) -> Path | None:
        """Return the path of another file for the same processes, if there is a file at all."""
        return None if self._path is None else self._path.with_name(f"{self._path.name}.{ending}")

    def read(self) -> Decisions:
        """Return what is decided now; of a file that is gone or not sound, what was read of it last."""
        if self._path is None:
            return self._known
        try:
            with self._path.open("rb") as file:
                document = _Document.model_validate_json(file.read(_MOST_BYTES))
        except FileNotFoundError as error:
            if self._known != Decisions():  # else nothing was decided yet
                self._complain(error)
        except (OSError, ValidationError) as error:
            self._complain(error)
        else:
            self._fault = None
            self._known = Decisions(
                {one.name: one.version for one in document.pins},
                frozenset((one.name, one.version) for one in document.unloaded),
            )
        return self._known

    def change(self, change: Callable[[Decisions], Decisions]) -> None:
        """Decide otherwise, whatever other processes decide at the same time; raises ``OSError``.

        What is decided is in the file then, also if it is what was known and the file was not sound.
        """
        if self._path is None:
            self._known = change(self._known)
            return
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read()
            after = change(before)
            if after != before or self._fault is not None:
                _write(self._path, after)
            self._known = after

    def _complain(self, error: Exception) -> None:
        """Log what is wrong with the file, once."""
        fault = error.strerror if isinstance(error, OSError) else "it does not hold pins and unloaded models"
        if fault != self._fault:
            logger.error("FORGER_STATE_FILE cannot be read, what was decided last stays: %s", fault)
        self._fault = fault


def _write(path: Path, decisions: Decisions) -> None:
    """Write the file anew: whole, or not at all."""
    document = {
        "pins": [{"name": name, "version": decisions.pins[name]} for name in sorted(decisions.pins)],
        "unloaded": [{"name": name, "version": version} for name, version in sorted(decisions.unloaded)],
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def share_with_workers(configured: Path | None) -> None:
    """Make a file for the workers that this process will start, and for those that replace them.

    Called once by whatever supervises; it lasts as long as that does.
    """
    if configured is None and _SHARED not in os.environ:
        try:
            folder = tempfile.mkdtemp(prefix="forger-state-")
        except OSError as error:
            logger.warning("pins will not outlive a worker, set FORGER_STATE_FILE: %s", error.strerror)
            return
        os.environ[_SHARED] = f"{folder}/models.json"
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def decision_store(configured: Path | None) -> DecisionStore:
    """Return the store of the configured file, or of the supervisor's."""
    shared = os.environ.get(_SHARED)
    return DecisionStore(configured or (Path(shared) if shared else None))
