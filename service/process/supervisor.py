"""The supervisor: a small process that holds the socket and starts the worker, again whenever it dies.

BentoML's own supervision takes four to ten seconds to notice a death, does nothing in a container, and takes
as long to start as the worker. This one knows of a death at once, and imports next to nothing. The worker
in turn stops when the supervisor has gone: they share a link, of which each sees the other's end close.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

logger = logging.getLogger("forger")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# What a worker takes to end beyond the grace that it gives to requests.
_ENDING_S = 5.0


@dataclass(frozen=True)
class Worker:
    """One worker process, and the link to it."""

    process: asyncio.subprocess.Process
    link: socket.socket

    @classmethod
    async def start(cls, listener: socket.socket, environment: Mapping[str, str]) -> Self:
        """Start a worker that answers on the listener."""
        link, theirs = socket.socketpair()
        link.settimeout(0)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "service.process.worker"),
                *("--listener", str(listener.fileno()), "--link", str(theirs.fileno())),
                env=environment,
                pass_fds=(listener.fileno(), theirs.fileno()),
                # Ctrl-C in a terminal is for the supervisor, which tells the worker what to do.
                process_group=0,
            )
        return cls(process, link)

    async def is_ready(self) -> bool:
        """Wait until the worker answers requests, or has ended before it could; tell which."""
        return bool(await asyncio.get_running_loop().sock_recv(self.link, 16))

    async def ended(self) -> int:
        """Wait for the process to end, and return its exit status: negative for a signal's."""
        status = await self.process.wait()
        self.link.close()
        return status

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it is still there."""
        if self.process.returncode is None:
            self.process.send_signal(number)


class Supervisor:
    """Keeps one worker alive until it is told to stop."""

    def __init__(
        self,
        listener: socket.socket,
        grace_s: float,
        *,
        on_ready: Callable[[], None],
    ) -> None:
        """``on_ready`` is called when the first worker is; ``grace_s`` is how long one may take to finish."""
        self._listener = listener
        self._grace_s = grace_s
        self._on_ready = on_ready
        self._worker: Worker | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Supervise until a signal or a first worker that cannot start; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        with tempfile.TemporaryDirectory(prefix="forger-", ignore_cleanup_errors=True) as folder:
            return await self._keep_alive(Path(folder))

    async def _keep_alive(self, folder: Path) -> int:
        environment = _environment(folder)
        was_ready, pause_s = False, 0.0
        while not self._stopping.is_set():
            worker = self._worker = await Worker.start(self._listener, environment)
            if self._stopping.is_set():  # meanwhile
                worker.send(signal.SIGTERM)
            is_ready = await worker.is_ready()
            if is_ready and not was_ready:
                was_ready = True
                self._on_ready()
            status = await worker.ended()
            if self._stopping.is_set():
                return 0 if status in (0, -signal.SIGTERM) else 1
            if not was_ready:
                return 1  # it has said why
            # One that has served is replaced at once; one that has not would only fail again.
            pause_s = 0.0 if is_ready else min(max(_FIRST_PAUSE_S, 2 * pause_s), _LONGEST_PAUSE_S)
            logger.error("the worker ended with status %d: another is started in %g s", status, pause_s)
            await self._pause(pause_s)
        return 0

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _stop(self) -> None:
        """Let the worker finish; at the second time, do not."""
        again = self._stopping.is_set()
        self._stopping.set()
        # The worker's is the last copy from now on: when it closes it, nobody listens.
        self._listener.close()
        if self._worker is None:
            return
        self._worker.send(signal.SIGKILL if again else signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._grace_s + _ENDING_S, self._worker.send, signal.SIGKILL)


def _environment(folder: Path) -> dict[str, str]:
    """Return the workers' environment, with places in a folder for what they leave behind."""
    places = {"PROMETHEUS_MULTIPROC_DIR": folder / "metrics", "BENTOML_HOME": folder / "bentoml"}
    environment = {name: str(place) for name, place in places.items()}
    environment = environment | {"BENTOML_DO_NOT_TRACK": "True"} | os.environ
    for name in places:
        Path(environment[name]).mkdir(parents=True, exist_ok=True)
    return environment
