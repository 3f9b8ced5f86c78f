"""Slow heads, large heads, nonsense, connections too many: refused, with an answer if there can be one."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.http.protocol.sweeper import Sweeper
from tests.fakes.listening import PATIENCE_S, PATIENT, QUICK, App, Listening, listening

ROOT = Path(__file__).resolve().parents[2]


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


def test_what_was_asked_before_the_nonsense_is_answered_and_the_connection_closed(roomy: Listening) -> None:
    """At once: not when it has been idle for long enough."""
    with roomy.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"this is no HTTP\r\n\r\n")
        assert [client.answer().status for _ in range(3)] == [200, 200, 200]
        client.socket.settimeout(PATIENCE_S / 3)
        # One parser looks at what follows when it is its turn.
        assert client.rest()[:12] in (b"", b"HTTP/1.1 400")


BROKEN = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n"


@pytest.mark.parametrize("first", [b"", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1"])
@pytest.mark.parametrize("length", [len(BROKEN), BROKEN.index(b"no")], ids=["whole", "head first"])
def test_a_broken_body_is_told_of_whatever_comes_with_it(roomy: Listening, first: bytes, length: int) -> None:
    """With its own head in one piece, and with the end of a request before it, which is none the worse."""
    with roomy.connect() as client:
        client.socket.settimeout(PATIENCE_S / 3)
        if first:
            client.send(first)
            time.sleep(0.1)
        client.send(b"2" * bool(first) + BROKEN[:length])
        if first:
            answer = client.answer()
            assert (answer.status, answer.body) == (200, b"2")
        time.sleep(0.1)
        client.send(BROKEN[length:])
        answer = client.answer()
        assert (answer.status, answer.body) == (400, b"What came is not HTTP.")
        assert client.is_closed()


def test_a_body_that_stops_behind_another_request_is_cut_off(quick: Listening) -> None:
    with quick.connect() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\nHost: x\r\n\r\n1"
        )
        assert client.answer().status == 200
        client.socket.settimeout(PATIENCE_S / 3)
        assert client.answer().body.startswith(b"The body came at less than")


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


def test_what_one_connection_stumbles_over_leaves_the_others_within_limits() -> None:
    """One timer looks at all of them, for as long as the process lives."""
    looked: list[str] = []

    class Stumbling:
        def look(self, now: float) -> None:
            looked.append("stumbled")
            raise ZeroDivisionError

    class Other:
        def look(self, now: float) -> None:
            looked.append("other")

    async def play() -> None:
        loop = asyncio.get_running_loop()
        sweeper = Sweeper(replace(QUICK, head_timeout_s=0.04))
        for connection in (Stumbling(), Other()):
            sweeper.add(connection, sweeper.served)
        patience = loop.time() + PATIENCE_S
        while looked.count("stumbled") < 3 or "other" not in looked:
            assert loop.time() < patience, looked
            await asyncio.sleep(0.01)

    asyncio.run(play())


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


ROOM = """
import resource, sys
from service.http.protocol import ConnectionLimits, within_descriptors
from service.settings import load_settings
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
limits = ConnectionLimits.of(load_settings({"FORGER_MAX_CONNECTIONS": str(wanted)}))
limits = within_descriptors(limits)
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
