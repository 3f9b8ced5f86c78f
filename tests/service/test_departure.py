"""A client that leaves ends the work for it; nothing else does, and no cancellation is lost or left over."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.errors import ClientLeft
from service.http.departure import unless_client_leaves


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

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def _for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise


def _left_over() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@on_a_loop
async def test_the_work_of_a_client_that_stays_is_returned() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    connection = Connection()
    assert await unless_client_leaves(connection.receive, work()) == "done"
    connection.left.set()
    await asyncio.sleep(0.01)
    assert _left_over() == 0


@on_a_loop
async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await unless_client_leaves(Connection().receive, work())


@on_a_loop
async def test_the_work_of_a_client_that_leaves_is_cancelled() -> None:
    connection, ended = Connection(), []
    asyncio.get_running_loop().call_soon(connection.left.set)
    with pytest.raises(ClientLeft):
        await unless_client_leaves(connection.receive, _for_ever(ended))
    assert ended == ["cancelled"]
    assert _left_over() == 0


@on_a_loop
async def test_a_connection_that_fails_is_one_that_is_closed() -> None:
    async def receive() -> dict[str, Any]:
        raise ConnectionResetError

    ended: list[str] = []
    with pytest.raises(ClientLeft):
        await unless_client_leaves(receive, _for_ever(ended))
    assert ended == ["cancelled"]


@pytest.mark.parametrize("leaves_too", [False, True])
@on_a_loop
async def test_a_deadline_is_a_deadline(leaves_too: bool) -> None:  # noqa: FBT001 - a parameter of the test
    connection, ended = Connection(), []

    async def play() -> None:
        async with asyncio.timeout(0.01) as limit:
            if leaves_too:
                asyncio.get_running_loop().call_at(limit.when(), connection.left.set)
            await unless_client_leaves(connection.receive, _for_ever(ended))

    with pytest.raises(TimeoutError):
        await play()
    assert ended == ["cancelled"]
    assert _left_over() == 0


@on_a_loop
async def test_a_cancelled_caller_is_cancelled() -> None:
    connection, ended = Connection(), []
    task = asyncio.ensure_future(unless_client_leaves(connection.receive, _for_ever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]
