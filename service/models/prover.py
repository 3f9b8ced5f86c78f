"""Has models loaded by another process first, and remembers which content it survived."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contract.layout import ModelDirectory
from service.engine import RUNTIME_VERSION
from service.errors import UnusableModel
from service.models.loading import Measured
from service.models.rewriting import FORM
from service.settings import Settings

logger = logging.getLogger("forger.repository")

PATIENCE_S = 120.0
"""For one model, from the bytes to its canaries."""
_ROOT = Path(__file__).resolve().parents[2]
_MOST_REMEMBERED_BYTES = 2**20


class Prover:
    """Tries what was never tried in a process of its own, :mod:`service.models.trial`; one call at a time.

    What survived is remembered by its digest, in a file beside the operator's decisions if there is one: a
    worker that is started anew need not try it again. What was measured on the way is not written there: it
    holds for this machine alone.
    """

    def __init__(self, settings: Settings, device: str, remembered: Path | None) -> None:
        self._asked = {
            "budget_bytes": settings.model_budget_bytes,
            "max_batch": settings.max_batch,
            "precision": settings.precision,
            "device": device,
            "threads": min(2, settings.threads),
        }
        libraries = {"onnx": version("onnx"), "onnxruntime": RUNTIME_VERSION}
        self._how = json.dumps([self._asked, libraries, FORM], sort_keys=True)
        self._remembered = remembered
        self._survived: dict[str, Measured | None] = {}
        self.command = [sys.executable, "-m", "service.models.trial", json.dumps(self._asked)]
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def prove(self, directory: ModelDirectory, digest: str) -> Measured | None:
        """Return once the directory's content was loaded in another process; raises ``UnusableModel``.

        What that one measured is returned, if it holds for this one and is still known.
        """
        key = f"{digest} {self._how}"
        if key in self._survived or key in self._read():
            return self._survived[key]
        told = self._try(directory)
        if told["fault"] is not None:
            raise UnusableModel(str(told["fault"]))
        if told["digest"] != digest:
            raise UnusableModel("the directory changed while it was read")
        self._remember(key, told["proof"] if self._asked["device"] == "cpu" else None)
        return self._survived[key]

    def rest(self) -> None:
        """End the process: nothing is to be tried for a while. For the thread that tries."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def close(self) -> None:
        """End the process, and begin no other; any thread may say so, also while one waits for it."""
        self._closed = True
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _try(self, directory: ModelDirectory) -> dict[str, Any]:
        try:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            asked = json.dumps([str(directory.root), directory.name, directory.version])
            process.stdin.write(asked.encode() + b"\n")
            process.stdin.flush()
            readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            line = process.stdout.readline() if readable else b""
        except (OSError, ValueError) as error:
            self.rest()
            raise UnusableModel(f"the process that tries models cannot be had: {error}") from None
        told = _said(line)
        if told is not None:
            return told
        self.rest()
        if not readable:
            raise UnusableModel(f"it took longer than {PATIENCE_S:.0f} s to load")
        raise UnusableModel(f"the process that tried to load it {_end_of(process)}")

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise OSError("the service stops")
            if self._process is None or self._process.poll() is not None:
                # No setting, and so no secret, is handed over; nor is a GPU, which others may fill.
                own = {name: value for name, value in os.environ.items() if not name.startswith("FORGER_")}
                path = os.pathsep.join(filter(None, [str(_ROOT), own.get("PYTHONPATH")]))
                self._process = subprocess.Popen(  # noqa: S603 - a module of this service
                    self.command,
                    env={**own, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                )  # fmt: skip
            return self._process

    def _read(self) -> dict[str, Measured | None]:
        """Return what any process remembers."""
        if self._remembered is not None:
            try:
                with self._remembered.open(encoding="utf-8") as file:
                    for key in file.read(_MOST_REMEMBERED_BYTES).splitlines():
                        self._survived.setdefault(key, None)
            except (OSError, ValueError):
                pass  # it is as if nothing were remembered
        return self._survived

    def _remember(self, key: str, measured: Measured | None) -> None:
        self._survived[key] = measured
        if self._remembered is None:
            return
        try:
            with self._remembered.open("a", encoding="utf-8") as file:
                file.write(key + "\n")
        except OSError as error:
            logger.warning("what was proved is not remembered: %s", error.strerror)


def _said(line: bytes) -> dict[str, Any] | None:
    """Return what the process says in a line, or None if it makes no sense."""
    try:
        told = json.loads(line)
        return {part: told[part] for part in ("digest", "fault", "proof")}
    except (ValueError, TypeError, KeyError):
        return None


def _end_of(process: subprocess.Popen[bytes]) -> str:
    status = process.returncode
    return (
        f"was ended by it ({signal.Signals(-status).name})" if status < 0 else f"ended with status {status}"
    )
