"""The engine's threads: they run one call at a time each, and hand what comes of it to the event loop.

An executor does the same by way of two futures, three locks and two chained callbacks, which cost nearly
twice as much (``docs/performance.md``).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

ReturnT = TypeVar("ReturnT")

_Call = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


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

    def run(self, function: Callable[..., ReturnT], *args: Any) -> asyncio.Future[ReturnT]:  # noqa: ANN401 - any arguments
        """Call the function on a thread; the future is of the running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ReturnT] = loop.create_future()
        self._calls.put((loop, future, function, args))
        return future

    def close(self) -> None:
        """End the threads once they have made all calls."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            loop, future, function, args = call
            result, error = None, None
            try:
                result = function(*args)
            except BaseException as raised:  # noqa: BLE001 - the caller's, whatever it is
                error = raised
            with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody left who waits
                loop.call_soon_threadsafe(_settle, future, result, error)
            del call, future, function, args, result, error  # nothing is kept alive while waiting


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - any result
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
