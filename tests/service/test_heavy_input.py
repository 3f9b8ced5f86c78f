"""Input that is well formed and heavy: it is refused early, or read without holding others up."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from service.http import drawing
from service.http.negotiation import parse_accept
from tests.fakes.models import CONDITIONAL, write_models
from tests.fakes.site import LocalService, local_service


def test_millions_of_small_lists_are_refused_unparsed(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser would hold every other request up for seconds."""
    content = b'{"class_label": [' + b",".join([b"[]"] * 262_144) + b"]}"
    with monkeypatch.context() as patch:
        patch.setattr("json.loads", None)
        response = service.request("POST", "/generate", content=content)
    assert response.status_code == 400
    assert "262144 lists and objects" in response.json()["detail"]


def test_the_longest_list_of_latents_is_read(service: LocalService) -> None:
    body = {"model": "vector", "latents": [{"latent": [0.5]}] * 65_536}
    response = service.generate(body, accept="application/x-npy")
    assert response.status_code == 200


def test_large_bodies_are_read_one_at_a_time(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they become is many times their size; small ones overtake them."""
    reading, gate, most = [0], threading.Event(), [0]
    inner = drawing.parse_json

    def parse(body: bytes) -> Any:
        if len(body) < drawing._LIGHT_BODY_BYTES:
            return inner(body)
        reading[0] += 1
        most[0] = max(most[0], reading[0])
        assert gate.wait(60)
        reading[0] -= 1
        return inner(body)

    monkeypatch.setattr(drawing, "parse_json", parse)
    heavy = {"content": b'{"seed": 1' + b" " * drawing._LIGHT_BODY_BYTES + b"}"}

    async def play() -> list[int]:
        waiting = [asyncio.ensure_future(service._request("POST", "/generate", heavy)) for _ in range(4)]
        light = await service._request("POST", "/generate", {"json": {"seed": 1}})
        gate.set()
        return [light.status_code, *(answer.status_code for answer in await asyncio.gather(*waiting))]

    assert service.run(play()) == [200] * 5
    assert most == [1]


def test_of_a_long_accept_header_the_beginning_counts(service: LocalService) -> None:
    assert len(parse_accept("text/html," * 50_000)) == 100
    response = service.generate({"seed": 1}, accept="image/png," + "*/*;q=0.1," * 5000)
    assert response.headers["content-type"] == "image/png"


def test_accept_lines_are_read_as_one(service: LocalService) -> None:
    headers = [("accept", "image/png;q=0.1"), ("accept", "application/zip")]
    response = service.request("POST", "/generate", json={"seed": 1}, headers=headers)
    assert response.headers["content-type"] == "application/zip"


def test_two_deadlines_are_none(service: LocalService) -> None:
    headers = [("x-timeout-ms", "1000"), ("x-timeout-ms", "abc")]
    response = service.request("POST", "/generate", json={}, headers=headers)
    assert response.status_code == 422
    assert response.json()["errors"][0]["header"] == "X-Timeout-Ms"


def test_a_mixture_that_is_too_long_for_a_header_is_left_out(tmp_path: Path) -> None:
    """Proxies refuse long headers; the recipe and JSON hold the mixture all the same."""
    classes = tuple(f"a class with the number {number}" for number in range(300))
    models = write_models(tmp_path, (dataclasses.replace(CONDITIONAL, classes=classes),))
    with local_service(models) as service:
        mixture = dict.fromkeys(classes, 1)
        response = service.generate({"class_label": mixture, "seed": 1}, accept="image/png")
        assert response.status_code == 200
        assert "x-class-label" not in response.headers
        assert sum(len(name) + len(value) for name, value in response.headers.raw) < 4000
        [item] = service.generate({"class_label": mixture, "seed": 1}).json()["data"]
        assert len(item["class_label"]["weights"]) == 300


def sent_as_it_is(service: LocalService, target: str) -> list[dict[str, Any]]:
    """Return the messages that answer GET of a target which no client library would send."""
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": "http", "method": "GET", "path": target, "raw_path": target.encode(), "query_string": b"",
        "headers": [], "scheme": "http", "root_path": "", "server": ("forger.test", 80),
        "client": ("10.0.0.1", 1), "http_version": "1.1",
    }  # fmt: skip
    service.run(service.edge(scope, receive, send))
    return answers


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/a b", "/a%20b"),
        ("//evil.test/x", "/evil.test/x"),
        ("/<script>", "/%3Cscript%3E"),
        ("/é", "/%C3%A9"),
    ],
)
def test_a_problems_instance_is_a_reference_to_this_host(
    service: LocalService, path: str, instance: str
) -> None:
    """RFC 9457, 3.1.5: a URI reference, whatever was asked for."""
    answers = sent_as_it_is(service, path)
    assert answers[0]["status"] == 404
    assert f'"instance":"{instance}"' in answers[1]["body"].decode()


def test_a_target_in_absolute_form_is_its_path(service: LocalService) -> None:
    """RFC 9112, 3.2.2: a server must take it, though only proxies are sent it."""
    answers = sent_as_it_is(service, "http://forger.test:3000/models")
    assert answers[0]["status"] == 200


def test_bodies_of_many_requests_together_are_bounded(models_dir: Path) -> None:
    """Each is within its own limit; what has no room beside the others is asked to come again."""
    limits = {"max_body_bytes": 200_000, "max_bodies_bytes": 500_000}
    with local_service(models_dir, default_model="grey", **limits) as service:
        memory = service.edge._site.endpoints.drawing._bodies

        async def play() -> tuple[list[int], int]:
            gate = asyncio.Event()
            large = [asyncio.ensure_future(_upload(service, gate, 200_000)) for _ in range(5)]
            small = [asyncio.ensure_future(_upload(service, gate, 60_000)) for _ in range(5)]
            refused = [await done for done in itertools.islice(asyncio.as_completed(large), 3)]
            held = memory.held
            gate.set()
            served = await asyncio.gather(*large, *small)
            assert refused == [429, 429, 429]
            return sorted(served), held

        statuses, held = service.run(play())
        assert statuses == [200] * 7 + [429] * 3
        assert held == 400_000
        assert service.run(_upload(service, None, 200_001)) == 413
        assert memory.held == 0


async def _upload(service: LocalService, gate: asyncio.Event | None, size: int) -> int:
    """Send a body, whose end waits for the gate; return the answer's status."""
    pieces = iter([b'{"seed": 1}' + b" " * (size - 11), b""])

    async def receive() -> dict[str, Any]:
        piece = next(pieces, None)
        if piece is None:  # it waits for its answer
            await asyncio.Event().wait()
        if not piece and gate is not None:
            await gate.wait()
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "headers": [],
        "query_string": b"", "scheme": "http", "root_path": "", "server": ("a", 1), "client": ("b", 2),
        "http_version": "1.1",
    }  # fmt: skip
    await service.edge(scope, receive, send)
    return int(sent[0]["status"])
