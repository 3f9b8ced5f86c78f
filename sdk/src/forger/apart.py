"""Running a coroutine for code that does not await, even where an event loop runs: in a notebook."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def run_apart(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what a coroutine returns; Ctrl-C ends it as it would end any other call."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    return _in_thread(make)


def _in_thread(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    outcome: Future[T] = Future()
    ended: Future[None] = Future()

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        ended.add_done_callback(lambda _: _cancel(task, loop))
        return await make()

    def run() -> None:
        if ended.done():
            return
        try:
            outcome.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="forger-bulk", daemon=True)
    try:
        thread.start()
        return outcome.result()
    except KeyboardInterrupt:
        ended.set_result(None)
        with contextlib.suppress(RuntimeError):  # It has not started, and will find that it is over.
            thread.join()
        raise


def _cancel(task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(RuntimeError):  # The loop is closed: the task ended by itself.
        loop.call_soon_threadsafe(task.cancel)
