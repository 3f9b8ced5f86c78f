"""Looks at every open connection now and then: one timer for all, and none for each request."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from service.http.protocol.limits import ConnectionLimits

logger = logging.getLogger("forger.http")


class Looked(Protocol):
    """A connection that is looked at."""

    def look(self, now: float) -> None:
        """See whether it is within its limits at this time of the event loop's clock."""


class Sweeper:
    """The open connections of a process."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._every_s = limits.look_every_s
        self._is_due = False
        self.served: set[Looked] = set()
        self.refused: set[Looked] = set()
        """Those that are one too many, until they have read so."""

    def add(self, connection: Looked, to: set[Looked]) -> None:
        """Look at a connection from now on."""
        to.add(connection)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(self._every_s, self._look)

    def forget(self, connection: Looked) -> None:
        """Look at it no more."""
        self.served.discard(connection)
        self.refused.discard(connection)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [*self.served, *self.refused]:
            try:
                connection.look(now)
            except Exception:  # without this timer no connection would be held to its limits any more
                logger.exception("a connection cannot be looked at")
        self._is_due = bool(self.served or self.refused)
        if self._is_due:
            loop.call_later(self._every_s, self._look)
