"""The head of an answer leaves together with its body, and never later than the turn that it was made in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service.http.protocol.joined import Joined
from tests.fakes.listening import Listening

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


def recorded(act: Callable[[Joined, Recorder], None], *, turns: int = 0) -> list[bytes | str]:
    """Return what a transport was asked to do, so many turns of the event loop later."""

    async def main() -> list[bytes | str]:
        transport = Recorder()
        act(Joined(transport, asyncio.get_running_loop()), transport)
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


def test_nothing_is_written_on_a_connection_that_closes() -> None:
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
