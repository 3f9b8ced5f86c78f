"""The engine's threads: every call is made once, and its thread says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.engine import Lanes


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    with contextlib.closing(Lanes(2)) as running:
        yield running


def called(lanes: Lanes, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
    """Return a future of what a call on the lanes comes to."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def tell(result: Any, error: Exception | None) -> None:
        if not future.done():
            future.set_result(result) if error is None else future.set_exception(error)

    def done(result: Any, error: Exception | None) -> None:
        loop.call_soon_threadsafe(tell, result, error)

    lanes.run(done, function, *args)
    return future


def test_calls_are_made_on_other_threads_and_their_results_come_back(lanes: Lanes) -> None:
    async def play() -> list[tuple[int, int]]:
        return await asyncio.gather(
            *(called(lanes, lambda n: (n, threading.get_ident()), n) for n in range(50))
        )

    results = asyncio.run(play())
    assert [number for number, _ in results] == list(range(50))
    assert threading.get_ident() not in {thread for _, thread in results}


def test_so_many_calls_run_at_once_and_no_more(lanes: Lanes) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def call() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1

    async def play() -> None:
        await asyncio.gather(*(called(lanes, call) for _ in range(8)))

    asyncio.run(play())
    assert most == 2


def test_what_a_call_raises_is_raised_where_it_is_awaited(lanes: Lanes) -> None:
    def call() -> None:
        raise LookupError("mine")

    async def play() -> str:
        with pytest.raises(LookupError, match="mine"):
            await called(lanes, call)
        return await called(lanes, lambda: "and the thread goes on")

    assert asyncio.run(play()) == "and the thread goes on"


def test_nobody_need_wait_for_a_result(lanes: Lanes) -> None:
    """A caller that was cancelled, and a loop that is closed, harm neither the thread nor the next call."""
    gate = threading.Event()

    async def leave() -> None:
        waiting = asyncio.ensure_future(asyncio.wait_for(called(lanes, gate.wait, 30), 0.01))
        with pytest.raises(TimeoutError):
            await waiting
        called(lanes, gate.wait, 30)

    async def stay() -> int:
        return await called(lanes, lambda: 7)

    asyncio.run(leave())
    gate.set()
    assert asyncio.run(stay()) == 7


def test_what_a_calls_end_asks_for_is_run_by_the_thread_that_is_there() -> None:
    """It need not wait for anybody to wake up."""
    threads: list[int] = []
    over = threading.Event()

    def ended(_result: object, _error: object) -> None:
        if len(threads) < 5:
            lanes.run(ended, lambda: threads.append(threading.get_ident()))
        else:
            over.set()

    with contextlib.closing(Lanes(1)) as lanes:
        lanes.run(ended, lambda: threads.append(threading.get_ident()))
        assert over.wait(10)
    assert len(threads) == 5
    assert len(set(threads)) == 1


def test_a_fault_in_what_hears_of_it_does_not_end_the_thread(
    lanes: Lanes, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_result: object, _error: object) -> None:
        raise LookupError("unheard of")

    async def play() -> int:
        for _ in range(4):
            lanes.run(fails, lambda: 1)
        return await called(lanes, lambda: 7)

    assert asyncio.run(play()) == 7
    assert "unheard of" in caplog.text


def test_closing_waits_for_all_calls() -> None:
    done: list[int] = []

    def call(number: int) -> None:
        time.sleep(0.01)
        done.append(number)

    async def play() -> None:
        lanes = Lanes(1)
        for number in range(5):
            called(lanes, call, number)
        await asyncio.to_thread(lanes.close)

    asyncio.run(play())
    assert done == [0, 1, 2, 3, 4]
