"""Slow, greedy and silent clients are cut off, each with a clear answer where one can be given."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop

from service.http.protocol import ConnectionLimits
from tests.fakes.listening import PATIENCE_S, Listening, listening, running_loop
from tests.fakes.site import LocalService

ROOT = Path(__file__).resolve().parents[2]
QUICK = ConnectionLimits(
    head_timeout_s=0.4, stall_timeout_s=0.4, min_bytes_per_s=100, max_head_bytes=8192, max_connections=50
)
ROOMY = replace(QUICK, head_timeout_s=5.0, stall_timeout_s=5.0)
"""For what must pass: a busy machine may leave a test waiting for a moment."""
PATIENT = ConnectionLimits()
ON_H11 = "service.http.protocol.on_httptools"


class App:
    """Reads each body and answers with its length; GET /large answers with 32 MiB in many pieces."""

    def __init__(self) -> None:
        self.read = 0
        self.ended: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            self.read = max(self.read, length)
            more = message.get("more_body", False)
        if scope["path"] == "/large":
            await self._send_large(send)
        else:
            text = b"%d" % length
            headers = [(b"content-length", b"%d" % len(text))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": text})
        self.ended.append(scope["path"])

    async def _send_large(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for left in reversed(range(128)):
            await send({"type": "http.response.body", "body": bytes(2**18), "more_body": left > 0})


@pytest.fixture(params=["httptools", "h11", "httptools on asyncio"])
def loop(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop: the fast parser on both kinds, and what stands in where it is missing."""
    if request.param == "h11":
        monkeypatch.setitem(sys.modules, ON_H11, None)
    make = asyncio.new_event_loop if "asyncio" in request.param else uvloop.new_event_loop
    with running_loop(make) as running:
        yield running


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def quick(app: App, loop: asyncio.AbstractEventLoop) -> Iterator[Listening]:
    with listening(app, loop, QUICK) as server:
        yield server


@pytest.fixture
def roomy(app: App, loop: asyncio.AbstractEventLoop) -> Iterator[Listening]:
    with listening(app, loop, ROOMY) as server:
        yield server


def test_ordinary_requests_pass_one_after_the_other(roomy: Listening) -> None:
    with roomy.connect() as client:
        for body in (b"", b"x" * 100, b"y" * 300_000):
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            answer = client.answer()
            assert (answer.status, answer.body) == (200, b"%d" % len(body))
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n")
        assert client.answer().body == b"5"
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        assert [client.answer().status for _ in range(3)] == [200, 200, 200]
    assert roomy.refused == []


def test_idle_between_two_requests_is_not_slow(quick: Listening) -> None:
    with quick.connect() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer().status == 200
            time.sleep(1.0)
    assert quick.refused == []


def test_many_in_one_piece_with_half_of_the_last_are_all_answered(roomy: Listening) -> None:
    """What came before a head in the same piece is not counted as the head's own."""
    body = b"z" * 20_000
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    last = b"POST / HTTP/1.1\r\nHost: x\r\nX: "
    with roomy.connect() as client:
        client.send(whole + last)
        assert client.answer().body == b"20000"
        client.send(b"y\r\nContent-Length: 2\r\n\r\n1")
        time.sleep(0.05)
        client.send(b"2")
        assert client.answer().body == b"2"


def test_a_head_byte_by_byte_is_cut_off(quick: Listening) -> None:
    with quick.connect() as client:
        assert client.trickle(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 200, 0.05)
        answer = client.answer()
        assert answer.status == 408
        assert answer.headers["connection"] == "close"
        assert answer.problem()["type"] == "/problems/request-timeout"
        assert answer.problem()["request_id"] == answer.headers["x-request-id"]
        assert client.is_closed()
    assert quick.refused == ["request-timeout"]


@pytest.mark.parametrize("slow", [b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 200, b"\r\n" * 100])
def test_a_second_head_byte_by_byte_is_cut_off_too(quick: Listening, slow: bytes) -> None:
    """The time runs anew from its first byte on; empty lines do not stop it."""
    with quick.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.answer().status == 200
        assert client.trickle(slow, 0.05)


def test_a_connection_without_a_word_is_closed(quick: Listening) -> None:
    with quick.connect() as client:
        assert client.is_closed()
    assert quick.refused == []


@pytest.mark.parametrize("how", ["header", "path", "many headers", "in one piece later"])
def test_a_head_over_the_limit_is_refused(quick: Listening, how: str) -> None:
    large = b"y" * 9000
    heads = {
        "header": b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + large,
        "path": b"GET /" + large,
        "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: bcd\r\n" * 1100,
        "in one piece later": b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + large + b"\r\n\r\n",
    }
    with quick.connect() as client:
        if "later" in how:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer().status == 200
        client.send(heads[how])
        answer = client.answer()
        # h11 bounds what it has to keep, not a head that comes whole.
        assert answer.status == 431 or (answer.status == 200 and "later" in how)
        if answer.status == 431:
            assert answer.problem()["type"] == "/problems/head-too-large"
            assert client.is_closed()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"this is no HTTP\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_told_so_in_our_form(quick: Listening, nonsense: bytes) -> None:
    with quick.connect() as client:
        client.send(nonsense)
        answer = client.answer()
        if answer.status != 400:  # the parsers differ in what they let pass
            assert answer.status == 200
            return
        assert answer.problem()["type"] == "/problems/malformed-request"
        assert client.is_closed()


def test_a_connection_too_many_is_told_to_come_again(quick: Listening) -> None:
    limit = QUICK.max_connections
    clients = [quick.connect() for _ in range(limit)]
    try:
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer().status == 200
        with quick.connect() as one_more:
            one_more.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = one_more.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.problem()["type"] == "/problems/unavailable"
            assert one_more.is_closed()
    finally:
        for client in clients:
            client.socket.close()
    patience = time.monotonic() + PATIENCE_S
    while quick.get().status != 200:
        assert time.monotonic() < patience, "a place is free again once somebody leaves"


def test_a_flood_of_connections_too_many_leaves_nothing_behind(
    app: App, loop: asyncio.AbstractEventLoop
) -> None:
    """Hundreds at once that neither send nor read: the one that is served is served on."""
    with listening(app, loop, replace(QUICK, max_connections=1, head_timeout_s=30.0)) as server:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer().status == 200
            others = [server.connect() for _ in range(300)]
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer().status == 200
            patience = time.monotonic() + PATIENCE_S
            while len(server.server.server_state.connections) > 1:
                assert time.monotonic() < patience
                time.sleep(0.02)
            for other in others:
                other.socket.close()
        while server.server.server_state.connections:
            assert time.monotonic() < patience
            time.sleep(0.02)
        assert server.get().status == 200


def test_a_request_that_is_done_is_let_go_of_at_once(roomy: Listening) -> None:
    """No request keeps itself alive until the collector comes by, of which the service has few."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            with roomy.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
                time.sleep(0.01)
                client.send(b"2")
                assert client.answer().body == b"2"
        patience = time.monotonic() + PATIENCE_S
        while roomy.server.server_state.connections:
            assert time.monotonic() < patience
            time.sleep(0.02)
        time.sleep(0.05)
        kept = [thing for thing in gc.get_objects() if type(thing).__name__ == "RequestResponseCycle"]
        assert len(kept) < 5
    finally:
        gc.enable()


def test_a_client_that_never_reads_is_cut_off(app: App, quick: Listening) -> None:
    """Its answer, and its further requests, do not stay in memory for ever."""
    with quick.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        patience = time.monotonic() + PATIENCE_S
        while "/large" not in app.ended:
            assert time.monotonic() < patience, "the answer to nobody was never given up"
            time.sleep(0.02)
        while quick.server.server_state.connections:
            assert time.monotonic() < patience, "the connection is still there"
            time.sleep(0.02)


def test_a_client_that_reads_in_its_own_time_gets_all(quick: Listening) -> None:
    """Half a megabyte every twentieth of a second is more than the least."""
    with quick.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        came = 0
        while piece := client.socket.recv(2**19):
            came += len(piece)
            if came < 2**22:
                time.sleep(0.05)
        assert came > 2**25


def test_an_answer_that_nobody_fetches_does_not_hold_a_closing_connection(quick: Listening) -> None:
    """Closed by us while the client's buffers are full: it ends all the same."""
    with quick.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        patience = time.monotonic() + PATIENCE_S
        time.sleep(0.2)
        while quick.server.server_state.connections:
            assert time.monotonic() < patience
            time.sleep(0.02)


def test_requests_sent_far_ahead_are_bounded(quick: Listening) -> None:
    """A flood in one piece is not turned into as many waiting requests."""
    with quick.connect() as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
        patience = time.monotonic() + PATIENCE_S
        while quick.server.server_state.connections:
            assert time.monotonic() < patience
            time.sleep(0.02)
    assert quick.server.server_state.total_requests < 400


ROOM = """
import resource, sys
from service.http.protocol import ConnectionLimits, within_descriptors
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
limits = within_descriptors(ConnectionLimits(max_connections=wanted))
print(limits.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed", "descriptors"),
    [
        (512, 1024, 100, 100, 512),
        (300, 1024, 500, 500, 756),
        (300, 600, 500, 344, 600),
        (100, 200, 500, 1, 200),
    ],
)
def test_no_more_connections_are_allowed_than_there_are_descriptors(
    soft: int, hard: int, wanted: int, allowed: int, descriptors: int
) -> None:
    command = [sys.executable, "-c", ROOM, str(soft), str(hard), str(wanted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(allowed), str(descriptors)]
    assert ("room for" in done.stderr) == (allowed < wanted)


def test_a_thousand_idle_connections_disturb_nobody(app: App, loop: asyncio.AbstractEventLoop) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with listening(app, loop, PATIENT) as server:
            idle = [server.connect() for _ in range(1000)]
            for half in idle[:500]:
                half.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            begun = time.monotonic()
            assert all(server.get().status == 200 for _ in range(50))
            assert time.monotonic() - begun < 10.0
            for client in idle:
                client.socket.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_refused_at_the_door_is_counted(service: LocalService) -> None:
    site = service.edge._site
    before = counted(service, "other", 431)
    with (
        listening(service.edge, service._loop, QUICK, notice=site.refused_at_the_door) as server,
        server.connect() as client,
    ):
        client.send(b"GET /" + b"y" * 9000)
        assert client.answer().status == 431
    assert counted(service, "other", 431) == before + 1


# Bodies, before the service itself.


@pytest.fixture
def door(service: LocalService) -> Iterator[Listening]:
    with listening(service.edge, service._loop, QUICK) as server:
        yield server


def counted(service: LocalService, route: str, status: int) -> float:
    line = f'forger_requests_total{{route="{route}",status="{status}"}}'
    text = service.get("/metrics").text
    return float(next((row.split()[-1] for row in text.splitlines() if row.startswith(line)), 0))


@pytest.mark.parametrize(
    "head", [b"Content-Length: 5000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1388\r\n"]
)
def test_a_body_that_trickles_is_cut_off_with_408(
    service: LocalService, door: Listening, head: bytes
) -> None:
    before = counted(service, "/generate", 408)
    with door.connect() as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\n" + head)
        assert client.trickle(b" " * 1000, 0.05)
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert "less than 100 bytes a second" in answer.problem()["detail"]
        assert answer.problem()["instance"] == "/generate"
        assert client.is_closed()
    assert counted(service, "/generate", 408) == before + 1


def test_a_body_that_stops_coming_is_cut_off(door: Listening) -> None:
    with door.connect() as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert client.answer().status == 408


def test_a_body_slow_but_not_too_slow_is_served(service: LocalService) -> None:
    """Over several periods, with more than enough in each."""
    with (
        listening(service.edge, service._loop, replace(QUICK, stall_timeout_s=1.0)) as door,
        door.connect() as client,
    ):
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 25002\r\n\r\n")
        for _ in range(25):
            client.send(b" " * 1000)
            time.sleep(0.1)
        client.send(b"{}")
        assert client.answer().status == 200


def test_a_body_without_end_is_refused_and_cut_off(service: LocalService, door: Listening) -> None:
    """Chunk after chunk at full speed: 413 at the limit, and no more than a period's time to go on."""
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with door.connect() as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        patience = time.monotonic() + PATIENCE_S
        while time.monotonic() < patience:
            try:
                client.send(chunk)
            except ConnectionError:
                return
        raise AssertionError("it could go on for ever")


def test_a_body_of_framing_only_is_refused(door: Listening) -> None:
    """Extensions and trailers are no body, and have no limit of their own in the parser."""
    with door.connect() as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                client.send(b"1;x=" + b"y" * 10_000 + b"\r\n \r\n")
            client.send(b"0\r\n\r\n")
        except ConnectionError:
            return
        assert client.answer().status == 400


@pytest.mark.parametrize("chunked", [False, True])
def test_no_more_than_the_limit_and_a_piece_is_read_of_a_large_body(
    service: LocalService, *, chunked: bool
) -> None:
    limit, piece = service.runtime.settings.max_body_bytes, 65_536
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        await asyncio.sleep(0)
        read += piece
        return {"type": "http.request", "body": bytes(piece), "more_body": True}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    length = [] if chunked else [(b"content-length", b"%d" % (limit + 1))]
    scope = {
        "type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "query_string": b"",
        "headers": length, "scheme": "http", "root_path": "", "server": ("a", 1), "client": ("b", 2),
        "http_version": "1.1",
    }  # fmt: skip
    service.run(service.edge(scope, receive, send))
    assert sent[0]["status"] == 413
    assert read <= (limit + piece if chunked else 0)


def test_nonsense_in_a_body_is_the_requests_own_problem(door: Listening) -> None:
    with door.connect() as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{")
        time.sleep(0.05)
        client.send(b"}nonsense\r\n")
        answer = client.answer()
        assert answer.status == 400
        assert answer.problem()["type"] == "/problems/malformed-request"
        assert client.is_closed()
