"""A client that leaves, and a deadline that passes, end the work; no cancellation is lost or left over."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.errors import ClientLeft, DeadlineExceeded
from service.http.patience import Patience

SOON = 0.05


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        asyncio.run(test(*args, **named))

    return run


class Connection:
    """A client that leaves when told to."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.looked_at = 0

    async def receive(self) -> dict[str, Any]:
        self.looked_at += 1
        await self.left.wait()
        return {"type": "http.disconnect"}

    def leave_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.left.set)


async def _for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise


async def _watched(patience: Patience, ended: list[str]) -> None:
    with patience:
        patience.watch()
        await _for_ever(ended)


def _left_over() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


@on_a_loop
async def test_work_that_is_done_soon_is_not_watched() -> None:
    connection = Connection()
    with Patience(connection.receive, _in(SOON)) as patience:
        patience.watch()
        await asyncio.sleep(0)
    connection.left.set()
    await asyncio.sleep(2 * SOON)
    assert connection.looked_at == 0
    assert _left_over() == 0


@on_a_loop
async def test_a_client_that_leaves_later_harms_nothing() -> None:
    connection = Connection()
    with Patience(connection.receive) as patience:
        patience.watch()
        await asyncio.sleep(SOON)
    assert connection.looked_at == 1
    connection.left.set()
    await asyncio.sleep(0.01)
    assert _left_over() == 0
    assert len(asyncio.all_tasks()) == 1


@on_a_loop
async def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(LookupError, match="mine"), Patience(Connection().receive, _in(SOON)):
        raise LookupError("mine")


@pytest.mark.parametrize("seconds", [0.0, 0.01, SOON])
@on_a_loop
async def test_the_work_of_a_client_that_leaves_is_cancelled(seconds: float) -> None:
    connection, ended = Connection(), []
    connection.leave_in(seconds)
    with pytest.raises(ClientLeft):
        await _watched(Patience(connection.receive, _in(10)), ended)
    assert ended == ["cancelled"]
    assert _left_over() == 0


@on_a_loop
async def test_a_request_that_is_still_read_is_not_watched() -> None:
    """The work itself receives until then, and would miss what somebody else received."""
    connection = Connection()
    with Patience(connection.receive, _in(10)) as patience:
        await asyncio.sleep(2 * SOON)
        assert connection.looked_at == 0
        patience.watch()
        await asyncio.sleep(SOON)
        assert connection.looked_at == 1


@on_a_loop
async def test_a_connection_that_fails_is_one_that_is_closed() -> None:
    async def receive() -> dict[str, Any]:
        raise ConnectionResetError

    ended: list[str] = []
    with pytest.raises(ClientLeft):
        await _watched(Patience(receive, _in(10)), ended)
    assert ended == ["cancelled"]


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01, SOON])
@on_a_loop
async def test_a_deadline_is_a_deadline(seconds: float) -> None:
    ended: list[str] = []
    begun = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineExceeded):
        await _watched(Patience(Connection().receive, _in(seconds)), ended)
    assert asyncio.get_running_loop().time() - begun >= seconds
    assert ended == ["cancelled"]
    assert _left_over() == 0


@pytest.mark.parametrize(
    ("leaves", "deadline", "why"), [(0.03, 0.1, ClientLeft), (0.1, 0.03, DeadlineExceeded)]
)
@on_a_loop
async def test_what_comes_first_is_the_reason(leaves: float, deadline: float, why: type[Exception]) -> None:
    connection = Connection()
    connection.leave_in(leaves)
    with pytest.raises(why):
        await _watched(Patience(connection.receive, _in(deadline)), [])


@on_a_loop
async def test_a_cancelled_caller_is_cancelled() -> None:
    ended: list[str] = []
    for pause in (0.0, SOON):
        task = asyncio.ensure_future(_watched(Patience(Connection().receive, _in(10)), ended))
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == ["cancelled", "cancelled"]


@on_a_loop
async def test_a_client_that_leaves_just_as_the_work_is_done_cancels_nothing_later() -> None:
    """In one turn of the loop the departure is seen and the block ends: what comes after it is unharmed."""
    connection, work = Connection(), asyncio.Event()

    def both() -> None:
        connection.left.set()
        work.set()

    asyncio.get_running_loop().call_later(SOON, both)
    with Patience(connection.receive) as patience:
        patience.watch()
        await work.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert _left_over() == 0
