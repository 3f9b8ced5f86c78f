"""The event loop on which a batcher's callers wait, seen from whatever thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Home:
    """An event loop that other threads come back to. Known from the first time that it is entered."""

    def __init__(self) -> None:
        self._thread = 0
        self.loop: asyncio.AbstractEventLoop

    def enter(self) -> asyncio.AbstractEventLoop:
        """Note that the running event loop is the one, and return it."""
        self._thread = threading.get_ident()
        self.loop = asyncio.get_running_loop()
        return self.loop

    def time(self) -> float:
        """Return the time of the loop's clock."""
        return self.loop.time()

    @property
    def is_here(self) -> bool:
        """Whether this is the loop's own thread."""
        return threading.get_ident() == self._thread

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function on the loop: now, if that is where this is called."""
        if self.is_here:
            function(*args)
            return
        with suppress(RuntimeError):  # a loop that is closed has nobody left who waits
            self.loop.call_soon_threadsafe(function, *args)
