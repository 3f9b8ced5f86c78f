"""Bodies that trickle, stop or never end are cut off with an answer that says why, and are counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.listening import PATIENCE_S, QUICK, Listening, listening
from tests.fakes.site import LocalService


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
