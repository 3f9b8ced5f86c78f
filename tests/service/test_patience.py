"""A client that leaves, and a deadline that passes, end the work; no cancellation is lost or left over."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.errors import ClientLeft, DeadlineExceeded
from service.http.patience import Patience
from service.http.presence import Connection, Presence, Receiving, presence_of

SOON = 0.05


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        asyncio.run(test(*args, **named))

    return run


class Client:
    """A client that leaves when told to, seen by receiving."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.looked_at = 0
        self.presence: Presence = Receiving(self.receive)

    async def receive(self) -> dict[str, Any]:
        self.looked_at += 1
        await self.left.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self.left.set()

    def leave_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.leave)


class ConnectedClient(Client):
    """The same, of whom the connection itself tells."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection()
        scope: dict[str, Any] = {}
        self.connection.carry(scope)
        self.presence = presence_of(scope, self.receive)

    def leave(self) -> None:
        self.connection.lose()


of_either_kind = pytest.mark.parametrize("client_of", [Client, ConnectedClient])
ClientOf = Callable[[], Client]


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
    client = Client()
    with Patience(client.presence, _in(SOON)) as patience:
        patience.watch()
        await asyncio.sleep(0)
    client.leave()
    await asyncio.sleep(2 * SOON)
    assert client.looked_at == 0
    assert _left_over() == 0


@on_a_loop
async def test_a_connection_that_tells_is_not_received_from() -> None:
    client = ConnectedClient()
    with Patience(client.presence) as patience:
        patience.watch()
        await asyncio.sleep(SOON)
        assert len(asyncio.all_tasks()) == 1
    assert client.looked_at == 0


@of_either_kind
@on_a_loop
async def test_a_client_that_leaves_later_harms_nothing(client_of: ClientOf) -> None:
    client = client_of()
    with Patience(client.presence) as patience:
        patience.watch()
        await asyncio.sleep(SOON)
    client.leave()
    await asyncio.sleep(0.01)
    assert _left_over() == 0
    assert len(asyncio.all_tasks()) == 1


@on_a_loop
async def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(LookupError, match="mine"), Patience(Client().presence, _in(SOON)):
        raise LookupError("mine")


@pytest.mark.parametrize("seconds", [0.0, 0.01, SOON])
@of_either_kind
@on_a_loop
async def test_the_work_of_a_client_that_leaves_is_cancelled(client_of: ClientOf, seconds: float) -> None:
    client, ended = client_of(), []
    client.leave_in(seconds)
    with pytest.raises(ClientLeft):
        await _watched(Patience(client.presence, _in(10)), ended)
    assert ended == ["cancelled"]
    assert _left_over() == 0


@on_a_loop
async def test_a_client_that_has_left_before_anybody_watches_is_seen_at_once() -> None:
    client, ended = ConnectedClient(), []
    client.leave()
    with pytest.raises(ClientLeft):
        await _watched(Patience(client.presence), ended)
    assert ended == ["cancelled"]


@on_a_loop
async def test_all_that_a_connection_carries_ends_with_it() -> None:
    client, ended = ConnectedClient(), []
    works = [asyncio.ensure_future(_watched(Patience(client.presence), ended)) for _ in range(3)]
    client.leave_in(SOON)
    raised = await asyncio.gather(*works, return_exceptions=True)
    assert [type(error) for error in raised] == [ClientLeft] * 3
    assert ended == ["cancelled"] * 3


@on_a_loop
async def test_a_request_that_is_still_read_is_not_watched() -> None:
    """The work itself receives until then, and would miss what somebody else received."""
    client = Client()
    with Patience(client.presence, _in(10)) as patience:
        await asyncio.sleep(2 * SOON)
        assert client.looked_at == 0
        patience.watch()
        await asyncio.sleep(SOON)
        assert client.looked_at == 1


@on_a_loop
async def test_a_connection_that_fails_is_one_that_is_closed() -> None:
    async def receive() -> dict[str, Any]:
        raise ConnectionResetError

    ended: list[str] = []
    with pytest.raises(ClientLeft):
        await _watched(Patience(Receiving(receive), _in(10)), ended)
    assert ended == ["cancelled"]


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01, SOON])
@on_a_loop
async def test_a_deadline_is_a_deadline(seconds: float) -> None:
    ended: list[str] = []
    begun = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineExceeded):
        await _watched(Patience(Client().presence, _in(seconds)), ended)
    assert asyncio.get_running_loop().time() - begun >= seconds
    assert ended == ["cancelled"]
    assert _left_over() == 0


@pytest.mark.parametrize(
    ("leaves", "deadline", "why"), [(0.03, 0.1, ClientLeft), (0.1, 0.03, DeadlineExceeded)]
)
@of_either_kind
@on_a_loop
async def test_what_comes_first_is_the_reason(
    client_of: ClientOf, leaves: float, deadline: float, why: type[Exception]
) -> None:
    client = client_of()
    client.leave_in(leaves)
    with pytest.raises(why):
        await _watched(Patience(client.presence, _in(deadline)), [])


@of_either_kind
@on_a_loop
async def test_a_cancelled_caller_is_cancelled(client_of: ClientOf) -> None:
    ended: list[str] = []
    for pause in (0.0, SOON):
        task = asyncio.ensure_future(_watched(Patience(client_of().presence, _in(10)), ended))
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == ["cancelled", "cancelled"]


@of_either_kind
@on_a_loop
async def test_a_client_that_leaves_just_as_the_work_is_done_cancels_nothing_later(
    client_of: ClientOf,
) -> None:
    """In one turn of the loop the departure is seen and the block ends: what comes after it is unharmed."""
    client, work = client_of(), asyncio.Event()

    def both() -> None:
        work.set()
        client.leave()

    asyncio.get_running_loop().call_later(SOON, both)
    with contextlib.suppress(ClientLeft), Patience(client.presence) as patience:
        patience.watch()
        await work.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert _left_over() == 0
