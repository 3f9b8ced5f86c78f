"""The head of an answer leaves together with its body, and never later than the turn that it was made in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from service.http.protocol.joined import Joined
from tests.fakes.listening import ROOMY, Listening, listening, wait_until

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


class Recorder:
    """A transport that keeps what it is asked to do."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def recorded(
    act: Callable[[Joined, Recorder], None], *, turns: int = 0, has_body: bool = True
) -> list[bytes | str]:
    """Return what a transport was asked to do, so many turns of the event loop later."""

    async def main() -> list[bytes | str]:
        transport = Recorder()
        act(Joined(transport, asyncio.get_running_loop(), has_body=has_body), transport)
        for _ in range(turns):
            await asyncio.sleep(0)
        return list(transport.done)

    return asyncio.run(main())


def in_pieces(*pieces: bytes) -> Callable[[Joined, Recorder], None]:
    def act(joined: Joined, transport: Recorder) -> None:
        del transport
        for piece in pieces:
            joined.write(piece)

    return act


def test_head_and_body_are_one_piece() -> None:
    assert recorded(in_pieces(HEAD, b"hello"), turns=2) == [HEAD + b"hello"]


def test_what_comes_later_is_not_held() -> None:
    assert recorded(in_pieces(HEAD, b"he", b"llo")) == [HEAD + b"he", b"llo"]


def test_a_large_body_is_not_copied() -> None:
    body = bytes(100_000)
    assert recorded(in_pieces(HEAD, body)) == [HEAD, body]


def test_a_head_that_nothing_follows_leaves_at_the_end_of_the_turn() -> None:
    assert recorded(in_pieces(HEAD)) == []
    assert recorded(in_pieces(HEAD), turns=1) == [HEAD]


def test_a_head_that_no_body_can_follow_waits_for_nothing() -> None:
    assert recorded(in_pieces(HEAD), has_body=False) == [HEAD]


def test_nobody_waits_for_leave_to_send_a_body() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert recorded(in_pieces(interim)) == [interim]
    assert recorded(in_pieces(interim, HEAD, b"hello")) == [interim, HEAD + b"hello"]


def test_a_connection_is_closed_after_its_last_head() -> None:
    def act(joined: Joined, transport: Recorder) -> None:
        joined.write(HEAD)
        assert not joined.is_closing()
        joined.close()
        assert joined.is_closing() is transport.closing is True

    assert recorded(act, turns=2) == [HEAD, "closed"]


@pytest.mark.parametrize("has_body", [True, False])
def test_nothing_is_written_on_a_connection_that_closes(has_body: bool) -> None:  # noqa: FBT001 - a parameter of the test
    def act(joined: Joined, transport: Recorder) -> None:
        transport.closing = True
        joined.write(HEAD)
        joined.write(b"hello")

    assert recorded(act, turns=2, has_body=has_body) == []


def test_a_head_does_not_outlive_its_connection() -> None:
    def act(joined: Joined, transport: Recorder) -> None:
        joined.write(HEAD)
        transport.closing = True

    assert recorded(act, turns=2) == []


def test_a_client_reads_an_answer_in_one_piece(roomy: Listening) -> None:
    with roomy.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        came = client.socket.recv(2**16)
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b"\r\n\r\n5")


def test_a_client_that_awaits_leave_gets_it_first(roomy: Listening) -> None:
    with roomy.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.socket.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.answer().body == b"5"


def test_a_client_that_asks_for_a_head_and_says_no_more_gets_it(roomy: Listening) -> None:
    for _ in range(30):
        with roomy.connect() as client:
            client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            assert client.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_leaves_with_requests_ahead_is_no_error(loop: asyncio.AbstractEventLoop) -> None:
    faults: list[Exception | None] = []

    async def late(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        try:
            headers = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"ok"})
        except Exception as error:  # noqa: BLE001 - whatever it is
            faults.append(error)
        else:
            faults.append(None)

    with listening(late, loop, ROOMY) as server:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        state = server.server.server_state
        wait_until(lambda: bool(faults) and not state.connections and not state.tasks)
    assert not any(faults)
