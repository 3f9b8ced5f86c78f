"""The engine's threads: they run one call at a time each, and hand what comes of it to the event loop.

An executor does the same by way of two futures, three locks and two chained callbacks, which cost nearly
twice as much, and two more turns of the loop (``docs/performance.md``).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

ReturnT = TypeVar("ReturnT")

Done = Callable[[ReturnT | None, Exception | None], None]
"""Called with what a call returned, or with what it raised."""

_Call = tuple[asyncio.AbstractEventLoop, Done[Any], Callable[..., Any], tuple[Any, ...]]


class Lanes:
    """So many threads; a call waits until one of them is idle."""

    def __init__(self, threads: int) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"forger-engine-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, done: Done[ReturnT], function: Callable[..., ReturnT], *args: Any) -> None:  # noqa: ANN401 - any arguments
        """Call the function on a thread, and then ``done`` on the running event loop."""
        self._calls.put((asyncio.get_running_loop(), done, function, args))

    def close(self) -> None:
        """End the threads once they have made all calls."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            loop, done, function, args = call
            result, error = None, None
            try:
                result = function(*args)
            except Exception as raised:  # noqa: BLE001 - the caller's, whatever it is
                error = raised
            with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody left who waits
                loop.call_soon_threadsafe(done, result, error)
            del call, done, function, args, result, error  # nothing is kept alive while waiting
