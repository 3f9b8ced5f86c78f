"""The engine's threads: they run one call at a time each, and say themselves what came of it.

An executor does the same by way of two futures, three locks and two chained callbacks on the event loop,
which cost nearly twice as much; and a thread would wait for a busy loop's turn until it is given more to do
(``docs/performance.md``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

ReturnT = TypeVar("ReturnT")

Done = Callable[[ReturnT | None, Exception | None], None]
"""Called with what a call returned, or with what it raised."""

_Call = tuple[Done[Any], Callable[..., Any], tuple[Any, ...]]

logger = logging.getLogger("forger.engine")


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
        """Call the function on a thread, and then ``done`` there; what that asks to be run is run next."""
        self._calls.put((done, function, args))

    def close(self) -> None:
        """End the threads once they have made all calls."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            done, function, args = call
            result, error = None, None
            try:
                result = function(*args)
            except Exception as raised:  # noqa: BLE001 - the caller's, whatever it is
                error = raised
            try:
                done(result, error)
            except Exception:
                logger.exception("a run's end failed")  # and the thread goes on
            del call, done, function, args, result, error  # nothing is kept alive while waiting
