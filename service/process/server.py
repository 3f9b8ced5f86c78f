"""uvicorn's server, which stops without failing anybody.

When it is asked to stop, the door closes: ``/readyz`` and every new request is answered 503 with
``Connection: close``, on connections old and new, while requests inside are finished. Stock uvicorn closes
its socket first; then clients who connect hang until the process ends, and are reset.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from service.door import Door
from service.process.listener import refuse_newcomers

logger = logging.getLogger("forger")

READY = b"ready"
"""What a worker says on its link when it answers requests."""

# For so long at least the closed door is shown: probes see it, and clients in the middle of a series of
# requests are told to connect elsewhere instead of losing their connection.
_SHOWN_S = 0.3
# For so long those who connected last may say what they want, to be told that it is too late.
_LAST_WORD_S = 0.1


class DrainingServer(uvicorn.Server):
    """A server that, on SIGTERM or SIGINT, refuses new work, finishes the old, and ends."""

    def __init__(
        self, config: uvicorn.Config, *, door: Callable[[], Door], grace_s: float, link: socket.socket
    ) -> None:
        """``door`` is asked for once the application has started; ``link`` leads to the supervisor.

        What is not finished after ``grace_s`` seconds is cut off.
        """
        super().__init__(config)
        self._find_door = door
        self._grace_s = grace_s
        self._link = link
        self._door: Door | None = None
        self._asked_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; once the application has not started yet, stop at once."""
        if self._door is None:
            super().handle_exit(sig, frame)
        elif self._asked_at is None:
            self._asked_at = time.monotonic()
            self._door.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and tell the supervisor that it is ready."""
        await super().startup(sockets)
        self._door = self._find_door()
        self._link.settimeout(0)
        self._link.send(READY)
        asyncio.get_running_loop().add_reader(self._link, self._left_alone)

    def _left_alone(self) -> None:
        """End like on SIGTERM when the supervisor has gone: nobody else would end this process."""
        asyncio.get_running_loop().remove_reader(self._link)
        if self._asked_at is None:
            logger.error("the supervisor has gone: the worker stops")
            self.handle_exit(0, None)

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to end; called ten times a second."""
        return await super().on_tick(counter) or self._has_finished()

    def _has_finished(self) -> bool:
        if self._asked_at is None or self._door is None:
            return False
        waited_s = time.monotonic() - self._asked_at
        if waited_s >= self._grace_s:
            logger.warning("%d requests are cut off after %g s", self._door.inside, self._grace_s)
            return True
        return waited_s >= min(_SHOWN_S, self._grace_s) and self._door.inside == 0

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Empty the socket's queue for the last time, then close everything."""
        if self._door is not None:
            self._door.close()
        for listener in sockets or []:
            refuse_newcomers(listener)
        await asyncio.sleep(_LAST_WORD_S)
        await super().shutdown(sockets)
