"""A connection that is lost ends what is done for it, at once, and without a task that looks out for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.errors import ClientLeft
from service.http.patience import Patience
from service.http.presence import presence_of
from tests.fakes.listening import PATIENCE_S, ROOMY, App, listening, wait_until


class Waiting(App):
    """Works for a request until its client leaves; nobody receives meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.left = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] != "/wait":
            await super().__call__(scope, receive, send)
            return
        while (await receive()).get("more_body", False):
            pass
        try:
            with Patience(presence_of(scope, _received_by_nobody)) as patience:
                patience.watch()
                self.begun += 1
                await asyncio.sleep(PATIENCE_S)
        except ClientLeft:
            self.left += 1


async def _received_by_nobody() -> Any:
    raise AssertionError("the connection itself tells")


@pytest.fixture
def app() -> Waiting:
    return Waiting()


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_what_is_done_for_a_connection_ends_with_it(
    app: Waiting, loop: asyncio.AbstractEventLoop, before: bytes
) -> None:
    """On its first request and on a later one, by either protocol."""
    with listening(app, loop, ROOMY) as server, server.connect() as client:
        if before:
            client.send(before)
            assert client.answer().status == 200
        client.send(b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        wait_until(lambda: app.begun == 1)
        client.socket.close()
        wait_until(lambda: app.left == 1)


def test_a_connection_that_the_service_cuts_off_ends_what_is_done_for_it(
    app: Waiting, loop: asyncio.AbstractEventLoop
) -> None:
    with listening(app, loop, ROOMY) as server, server.connect() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: app.begun == 1)
        [guarded] = server.server.server_state.connections
        loop.call_soon_threadsafe(guarded.transport.abort)
        wait_until(lambda: app.left == 1)


def test_others_are_not_disturbed(app: Waiting, loop: asyncio.AbstractEventLoop) -> None:
    with listening(app, loop, ROOMY) as server, server.connect() as stays:
        stays.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: app.begun == 1)
        with server.connect() as leaves:
            leaves.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: app.begun == 2)
        wait_until(lambda: app.left == 1)
        assert server.get().status == 200
        assert app.left == 1
