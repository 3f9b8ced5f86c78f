"""A worker that cannot start ends the whole service: BentoML would start it again for ever.

BentoML's supervisor process starts the workers. It leaves its process id in the environment that they
inherit, and a worker that fails to load tells it so with a signal.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import NoReturn

logger = logging.getLogger("forger")

_SUPERVISOR = "_FORGER_SUPERVISOR"
_SIGNAL = getattr(signal, "SIGUSR1", signal.SIGTERM)


def end_if_a_worker_cannot_start() -> None:
    """Make this process, the supervisor, end with status 1 when a worker gives up."""
    os.environ[_SUPERVISOR] = str(os.getpid())
    signal.signal(_SIGNAL, lambda _number, _frame: sys.exit(1))


def give_up(error: Exception) -> NoReturn:
    """End this worker, and with it the service that it cannot serve."""
    logger.critical("the service cannot start: %s", error, extra={"event": "cannot-start"})
    parent = os.getppid()
    if os.environ.get(_SUPERVISOR) == str(parent):
        os.kill(parent, _SIGNAL)
    raise SystemExit(f"forger: {error}") from error
