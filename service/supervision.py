"""A worker that cannot start ends the whole service; under ``bentoml serve`` it would be tried for ever.

Our own supervisor sees it by itself. BentoML's would start the worker anew; it leaves its process id in the
environment that workers inherit, and one that fails to load tells it so with a signal.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import NoReturn

from service.logs import flush_logs

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
    flush_logs()
    # At once: everybody whom an exception would pass on its way out would log it again, with its trace.
    os._exit(1)
