"""The client that besieges the service: it sees every way in which a request can end, and wrong images."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.chaos.serving.arrivals import Until, at_rate, in_turns, over_and_over
from tests.chaos.serving.client import Client, Outcome, Reply, Shot
from tests.chaos.serving.figures import milliseconds, seen, trend
from tests.fakes.server import free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_SHOT = Shot.get("/")


def play(handler: Handler, scene: Callable[[Client], Awaitable[object]], patience_s: float = 10.0) -> object:
    """Carry a scene out with a client of a server that handles each connection so."""
    handlers: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.append(task)
        try:
            await handler(reader, writer)
        except asyncio.IncompleteReadError:
            pass  # the client has what it wanted
        finally:
            writer.close()
            await asyncio.wait([asyncio.create_task(writer.wait_closed())])

    async def both() -> object:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            async with Client(server.sockets[0].getsockname()[1], patience_s) as client:
                result = await scene(client)
            await asyncio.gather(*handlers)
        return result

    return asyncio.run(both())


def one(handler: Handler, patience_s: float = 10.0, shot: Shot = _SHOT) -> Reply:
    """Return what came of one shot."""
    reply = play(handler, lambda client: client.send(shot), patience_s)
    assert isinstance(reply, Reply)
    return reply


def answering(*answers: bytes) -> Handler:
    """Return a server that answers the requests of a connection so, in order, and keeps it open."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        await reader.read()

    return handle


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), fields.encode(), body)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def hang_up_midway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(answer(200, b"whole")[:-2])


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close with a byte unread, which the system tells with a reset."""
    await reader.readexactly(1)
    linger = (1).to_bytes(4, "little") + bytes(4)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [(hang_up, Outcome.CLOSED), (hang_up_midway, Outcome.CLOSED), (reset, Outcome.RESET)],
)
def test_an_answer_that_is_not_whole_is_none(handler: Handler, outcome: Outcome) -> None:
    reply = one(handler)
    assert (reply.outcome, reply.status) == (outcome, 0)


def test_patience_ends() -> None:
    assert one(keep_silent, patience_s=0.05).outcome is Outcome.LATE


def test_nobody_there_is_refused() -> None:
    async def ask() -> Reply:
        async with Client(free_port()) as client:
            return await client.send(_SHOT)

    assert asyncio.run(ask()).outcome is Outcome.REFUSED


def test_an_answer_is_read_with_what_matters_of_its_head() -> None:
    reply = one(answering(answer(429, b"later", Retry_After="1", Connection="Close")))
    assert (reply.outcome, reply.status, reply.content) == (Outcome.ANSWERED, 429, b"later")
    assert (reply.retry_after, reply.says_close, reply.is_fresh) == (b"1", True, True)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_wrong_image_is_seen(*, is_right: bool) -> None:
    expected = hashlib.sha256(b"image" if is_right else b"other").digest()
    reply = one(answering(answer(200, b"image")), shot=Shot(_SHOT.wire, digest=expected))
    assert reply.is_right is is_right


def test_connections_are_kept_unless_the_server_or_the_shot_will_not() -> None:
    async def scene(client: Client) -> list[bool]:
        first = await client.send(_SHOT)
        kept = await client.send(_SHOT)
        fresh = await client.send(_SHOT, fresh=True)
        return [first.is_fresh, kept.is_fresh, fresh.is_fresh]

    assert play(answering(answer(200), answer(200)), scene) == [True, False, True]
    closing = answer(503, Connection="close")

    async def twice(client: Client) -> bool:
        await client.send(_SHOT)
        return (await client.send(_SHOT)).is_fresh

    assert play(answering(closing, closing), twice)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system does not tell a connection's state")
def test_nothing_is_sent_on_a_connection_that_the_server_has_closed() -> None:
    """Else a request that the server never saw would count as one that it lost.

    The client's event loop is kept from learning of the close, as a busy one is.
    """
    has_left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        server = threading.Thread(target=_answer_and_leave, args=(listener, 2, has_left))
        server.start()

        async def scene() -> list[Reply]:
            async with Client(listener.getsockname()[1]) as client:
                first = await client.send(_SHOT)
                has_left.wait(30)
                return [first, await client.send(_SHOT)]

        replies = asyncio.run(scene())
        server.join()
    assert [(reply.outcome, reply.is_fresh) for reply in replies] == [(Outcome.ANSWERED, True)] * 2


def _answer_and_leave(listener: socket.socket, times: int, has_left: threading.Event) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        connection.recv(65_536)
        connection.sendall(answer(200))
        connection.close()
        has_left.set()


def test_an_open_loop_waits_for_nobody() -> None:
    async def scene(client: Client) -> list[Reply]:
        return await at_rate(client, over_and_over([_SHOT]), 200.0, Until(0.3))

    replies = play(keep_silent, scene, patience_s=0.5)
    assert len(replies) > 20
    assert seen(replies) == {"late": len(replies)}


def test_a_closed_loop_has_so_many_under_way_and_no_more() -> None:
    under_way, most = 0, 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        while True:
            await reader.readuntil(b"\r\n\r\n")
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            writer.write(answer(200))

    replies: list[Reply] = []

    async def scene(client: Client) -> None:
        await in_turns(client, over_and_over([_SHOT]), 3, Until(0.2), replies.append)

    play(handle, scene)
    assert most == 3
    assert seen(replies) == {"200": len(replies)}


def test_quantiles_are_of_what_was_seen() -> None:
    replies = [Reply(_SHOT, Outcome.ANSWERED, 0.0, number / 1000, is_fresh=True) for number in range(1, 101)]
    assert [milliseconds(replies, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert milliseconds([], 0.5) is None


def test_a_trend_is_not_moved_by_outliers() -> None:
    times = [float(number) for number in range(100)]
    values = [2.0 * time + (1000.0 if time % 7 == 3 else 0.0) for time in times]
    assert trend(times, values) == pytest.approx(2.0, abs=0.2)
    assert trend(times, [5.0] * 100) == 0.0
