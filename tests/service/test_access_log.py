"""Each exchange leaves one line that says what was asked and what came of it, and nothing secret."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.http.access_log import AccessLog
from service.logs import LineWriter
from tests.fakes.site import LocalService, local_service

KEY = "a-secret-key-of-this-test"


class Logged:
    """A service whose requests are logged into a file."""

    def __init__(self, service: LocalService, path: Path) -> None:
        self.service = service
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.writer = LineWriter(self._file, as_text=False)
        site = service.edge._site
        service.edge.__dict__["_site"] = replace(site, access_log=AccessLog(self.writer))
        self._told = 0

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines that came since the last call."""
        assert self.writer.drain(10.0)
        lines = self.path.read_bytes().splitlines()
        told, self._told = self._told, len(lines)
        return [json.loads(line) for line in lines[told:]]


@pytest.fixture(scope="module")
def logged(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    with local_service(models_dir, default_model="grey", api_keys=KEY) as service:
        yield Logged(service, tmp_path_factory.mktemp("log") / "log")


def test_a_drawing_is_told_of_in_full(logged: Logged) -> None:
    logged.lines()
    headers = {"authorization": f"Bearer {KEY}", "x_request_id": "r-1"}
    answer = logged.service.generate({"seed": 7, "n": 3}, **headers)
    (line,) = logged.lines()
    document = answer.json()
    assert line["event"] == "request"
    assert (line["request_id"], line["route"], line["status"]) == ("r-1", "/generate", 200)
    assert (line["outcome"], line["model"], line["digest"]) == (
        "answered",
        "grey:1",
        document["model_digest"],
    )
    assert (line["seed"], line["n"], line["bytes"]) == (7, 3, len(answer.content))
    assert line["total_ms"] >= line["inference_ms"] >= 0
    assert {"queue_ms", "encode_ms"} <= set(line)
    assert "problem" not in line


def test_what_is_refused_is_told_of_with_its_problem(logged: Logged) -> None:
    logged.lines()
    service, authorization = logged.service, f"Bearer {KEY}"
    service.generate({"n": 0}, authorization=authorization)
    service.generate({}, authorization="Bearer a-wrong-key-that-nobody-has")
    service.get("/nothing/here?key=a-wrong-key-that-nobody-has")
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    service.generate({}, authorization=authorization, traceparent=traceparent, x_timeout_ms="0")
    lines = logged.lines()
    assert [(line["status"], line["problem"], line["outcome"]) for line in lines] == [
        (422, "invalid-input", "refused"),
        (401, "unauthorized", "refused"),
        (404, "unknown-route", "refused"),
        (422, "invalid-input", "refused"),
    ]
    assert lines[2]["route"] == "other"
    assert lines[3]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_stream_and_a_picture_leave_their_lines(logged: Logged) -> None:
    logged.lines()
    authorization = f"Bearer {KEY}"
    streamed = logged.service.generate(
        {"n": 2, "seed": 1}, authorization=authorization, accept="text/event-stream"
    )
    logged.service.get("/images/grey/4/0.png", headers={"authorization": authorization})
    lines = logged.lines()
    assert [(line["n"], line["seed"]) for line in lines] == [(2, 1), (1, 4)]
    assert lines[0]["bytes"] == len(streamed.content)


def test_nothing_that_a_client_sends_forges_a_line_or_leaks(logged: Logged) -> None:
    """Newlines and control characters in paths, headers, model names and bodies; keys in all of them."""
    logged.lines()
    forged = '\r\n{"event": "forged"}\x1b[2J\u2028'
    calls = 0
    for path in (f"/models/{forged}", f"/images/{forged}/1/1.png", f"/{forged}", f"/problems/{forged}"):
        scope = {
            "type": "http", "method": "GET", "path": path, "raw_path": b"/", "query_string": KEY.encode(),
            "headers": [
                (b"x-request-id", forged.encode("latin-1", "replace")),
                (b"traceparent", forged.encode("latin-1", "replace")),
                (b"authorization", f"Bearer {KEY}".encode()),
            ],
            "scheme": "http", "root_path": "", "server": ("a", 1), "client": ("b", 2), "http_version": "1.1",
        }  # fmt: skip
        logged.service.run(_call(logged.service.edge, scope))
        calls += 1
    for body in ({"model": forged}, {"model": f"grey:{forged}"}, {"class_label": forged}, {forged: 1}):
        logged.service.generate(body, authorization=f"Bearer {KEY}")
        calls += 1
    assert len(logged.lines()) == calls
    text = logged.path.read_text()
    assert "forged" not in text
    assert KEY not in text


def test_what_waits_to_be_written_holds_no_request(logged: Logged) -> None:
    """While the log's reader is stuck, neither bodies nor headers nor models are kept for it."""
    held: list[object] = []
    writer = logged.writer
    site = logged.service.edge._site

    class Keeping(AccessLog):
        def _line(self, noted: tuple[Any, ...]) -> bytes:
            held.append(noted)
            return super()._line(noted)

    logged.service.edge.__dict__["_site"] = replace(site, access_log=Keeping(writer))
    logged.service.generate({"seed": 2}, authorization=f"Bearer {KEY}")
    logged.lines()
    logged.service.edge.__dict__["_site"] = site

    def plain(value: object) -> bool:
        return value is None or isinstance(value, str | int | float) or (
            isinstance(value, tuple) and all(plain(part) for part in value)
        )  # fmt: skip

    assert held
    assert all(plain(value) for value in held)


def test_requests_are_not_logged_where_the_process_does_not_log(service: LocalService) -> None:
    assert service.edge._site.access_log is None


async def _call(edge: Any, scope: dict[str, Any]) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    await edge(scope, receive, send)
