"""HTTP around the use cases: routes and methods, headers, limits, time, departures, cross-origin, metrics."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.manifest import read_manifest
from service.http.drawing import DrawingEndpoints
from tests.fakes.site import LocalService, local_service

SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "query_string": b"",
    "headers": [], "scheme": "http", "root_path": "", "server": ("forger.test", 80),
    "client": ("10.0.0.1", 1), "http_version": "1.1",
}  # fmt: skip


@pytest.fixture
def small(models_dir: Path) -> Iterator[LocalService]:
    """A service with narrow limits, and counters that begin at 0."""
    limits = {"max_images": 3, "max_body_bytes": 2000, "queue_rows": 3, "deadline_ms": 5000}
    with local_service(models_dir, default_model="grey", **limits) as running:
        yield running


@dataclass
class Held:
    """Runs of the default model that do not end before they are let go; ``sizes`` are their rows."""

    sizes: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def held(small: LocalService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Hold every run of the default model back until the gate opens."""
    session = small.runtime.repository.resolve("grey").backend._session
    held, inner = Held(), session.draw

    def draw(z_ND: Any, weights_NK: Any, **how: bool) -> Any:
        held.sizes.append(len(z_ND))
        assert held.gate.wait(60)
        return inner(z_ND, weights_NK, **how)

    monkeypatch.setattr(session, "draw", draw)
    monkeypatch.setattr(session, "is_quick", False)  # a held run must not hold the event loop
    yield held
    held.gate.set()


def samples(service: LocalService) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = service.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(service: LocalService, name: str, **labels: str) -> float:
    return samples(service).get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.mark.parametrize(
    "path", ["/", "/models", "/models/grey", "/livez", "/healthz", "/readyz", "/metrics"]
)
def test_get_routes_answer_get_and_head_only(service: LocalService, path: str) -> None:
    assert service.get(path).status_code == 200
    assert service.request("HEAD", path).status_code == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        response = service.request(method, path)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD"
        assert response.headers["content-type"] == "application/problem+json"


def test_generate_answers_post_only(service: LocalService) -> None:
    for method in ("GET", "HEAD", "PUT"):
        response = service.request(method, "/generate")
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/nope", "/openapi.yaml", "/schema.json", "/models/", "/images/mnist/1"])
def test_unknown_paths_are_404(service: LocalService, path: str) -> None:
    response = service.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/unknown-route"


def test_models_say_what_they_are(service: LocalService, models_dir: Path) -> None:
    listed = service.get("/models").json()["data"]
    assert [one["name"] for one in listed] == ["colour", "fragile", "grey", "sphere", "uniform", "vector"]
    assert [one["name"] for one in listed if one["default"]] == ["grey"]
    grey = service.get("/models/grey").json()
    assert grey in listed
    assert grey == service.get("/models/grey?version=1").json()
    _, digest = read_manifest((models_dir / "grey/1/manifest.json").read_bytes())
    assert grey["digest"] == digest
    assert grey["versions"] == [1]
    assert grey["latent"]["dim"] == 4
    assert grey["classes"][3] == {"index": 3, "name": "three"}
    assert grey["output"]["shape"] == [6, 5, 1]
    assert grey["provider"] == "CPUExecutionProvider"
    assert grey["truncation_modes"] == ["threshold", "scale"]
    assert grey["limits"]["rows_per_request"] == 64
    vector = service.get("/models/vector").json()
    assert (vector["classes"], vector["output"]["kind"]) == (None, "vector")
    assert vector["limits"]["rows_per_request"] == 65_536


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models/nope", 404),
        ("/models/grey?version=2", 404),
        ("/models/grey?version=x", 422),
        ("/models/grey?version=0", 422),
        ("/models/grey:1?version=1", 200),
        ("/models/grey:2?version=2", 404),
        ("/models/grey:1?version=2", 422),
        ("/models/grey:?version=1", 422),
        ("/models/grey?version=1&version=1", 422),
        ("/models/grey?version=1&version=2", 422),
        ("/models/grey?version=", 422),
    ],
)
def test_unknown_models_and_versions(service: LocalService, path: str, status: int) -> None:
    assert service.get(path).status_code == status


def test_the_root_gives_a_line_to_try(service: LocalService) -> None:
    assert "curl -s http://forger.test/generate" in service.get("/").text
    evil = service.get("/", headers={"host": "a'; rm -rf"}).text
    assert "rm -rf" not in evil


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 128])
def test_a_sound_request_id_is_kept(service: LocalService, given: str) -> None:
    assert service.generate({}, x_request_id=given).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a/b", "<script>"])
def test_any_other_request_id_is_replaced(service: LocalService, given: str) -> None:
    answered = service.generate({}, x_request_id=given).headers["x-request-id"]
    assert answered != given
    assert re.fullmatch(r"[0-9a-f]{32}", answered)


def test_a_declared_length_over_the_limit_is_413_before_anything_is_read(small: LocalService) -> None:

    response = small.request("POST", "/generate", content=b" " * 2001)
    assert response.status_code == 413
    assert "2000 bytes" in response.json()["detail"]
    assert small.request("POST", "/generate", content=b" " * 2000).status_code == 200


def test_a_chunked_body_over_the_limit_is_413_without_keeping_it(small: LocalService) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 1000

    response = small.request("POST", "/generate", content=chunks())
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


def test_time_that_runs_out_is_504(small: LocalService, held: Held) -> None:
    response = small.generate({}, x_timeout_ms="50")
    assert response.status_code == 504
    assert response.json()["type"] == "/problems/deadline-exceeded"


def test_a_full_queue_is_429_with_retry_after(small: LocalService, held: Held) -> None:
    async def crowd() -> list[Any]:
        tasks = [
            asyncio.ensure_future(small._request("POST", "/generate", {"json": {"n": 3}})) for _ in range(4)
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # nothing but a refusal can end
        held.gate.set()
        return await asyncio.gather(*tasks)

    answers = small.run(crowd())
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert {answer.status_code for answer in answers} == {200, 429}
    assert value(small, "forger_rejections_total", reason="queue-full") == len(refused)
    assert value(small, "forger_queue_rows", model="grey", version="1") == 0


def test_the_work_of_a_client_that_left_is_dropped(small: LocalService, held: Held) -> None:
    """Its rows that wait are never run, and the departure is counted."""

    async def leave() -> None:
        messages = iter([{"type": "http.request", "body": b"{}", "more_body": False}])

        async def receive() -> dict[str, Any]:
            message = next(messages, None)
            if message is None:
                await asyncio.sleep(0.1)
                return {"type": "http.disconnect"}
            return message

        async def send(message: dict[str, Any]) -> None:
            """Nobody is there."""

        await small.edge(dict(SCOPE), receive, send)

    async def play() -> None:
        busy = [
            asyncio.ensure_future(small._request("POST", "/generate", {"json": {"n": n}})) for n in (1, 1)
        ]
        while len(held.sizes) < 2:  # noqa: ASYNC110 - threads fill it
            await asyncio.sleep(0.01)
        await leave()
        held.gate.set()
        await asyncio.gather(*busy)

    small.run(play())
    assert held.sizes == [1, 1]
    assert value(small, "forger_requests_total", route="/generate", status="499") == 1
    assert value(small, "forger_images_total", model="grey", version="1") == 2


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours(
    small: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        """Nobody is there."""

    small.run(small.edge(dict(SCOPE), receive, send))
    assert value(small, "forger_requests_total", route="/generate", status="499") == 1
    assert "unexpected" not in caplog.text


def test_a_request_is_counted_before_its_last_byte_leaves(small: LocalService) -> None:
    """So that a client which has its answer finds it in the metrics."""
    counted_at_last_byte = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            text = small.runtime.metrics.render().decode()
            counted_at_last_byte.append('forger_requests_total{route="/livez",status="200"} 1.0' in text)

    small.run(small.edge({**SCOPE, "method": "GET", "path": "/livez"}, receive, send))
    assert counted_at_last_byte == [True]


def test_an_unexpected_error_is_a_bare_500_that_the_log_explains(
    service: LocalService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def explode(*_: object) -> None:
        raise RuntimeError("secret at /etc/path")

    monkeypatch.setattr(DrawingEndpoints, "_carry_out", explode)
    response = service.generate({}, x_request_id="find-me")
    assert response.status_code == 500
    assert response.json()["type"] == "/problems/unexpected"
    assert "secret" not in response.text
    assert "find-me" in caplog.text
    assert "secret at /etc/path" in caplog.text


def test_a_stopping_service_takes_no_work_and_is_not_ready(models_dir: Path) -> None:
    with local_service(models_dir) as service:
        assert "connection" not in service.get("/readyz").headers
        service.runtime.door.close()
        for response in (service.generate({}), service.get("/readyz"), service.get("/models")):
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["type"] == "/problems/unavailable"
            assert response.headers["connection"] == "close"
        for path in ("/livez", "/healthz", "/metrics"):
            response = service.get(path)
            assert (response.status_code, response.headers["connection"]) == (200, "close")


def test_who_is_inside_when_the_door_closes_is_served(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far the request had come: here its body is still being read."""
    with local_service(models_dir) as service:
        inner = DrawingEndpoints._carry_out

        async def closing(*args: Any) -> Any:
            assert service.runtime.door.inside == 1
            service.runtime.door.close()
            return await inner(*args)

        monkeypatch.setattr(DrawingEndpoints, "_carry_out", closing)
        response = service.generate({})
        assert (response.status_code, response.headers["connection"]) == (200, "close")
        assert service.runtime.door.inside == 0


def test_cross_origin_is_off_by_default(service: LocalService) -> None:
    response = service.get("/models", headers={"origin": "https://page.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]
    asked = {"origin": "https://page.example", "access-control-request-method": "POST"}
    assert service.request("OPTIONS", "/generate", headers=asked).status_code == 405


def test_cross_origin_lets_in_who_is_named(models_dir: Path) -> None:
    page, other = "https://page.example", "https://other.example"
    with local_service(models_dir, cors_origins=f"{page}, http://localhost:8080") as service:
        asked = {"origin": page, "access-control-request-method": "POST"}
        preflight = service.request("OPTIONS", "/generate", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == page
        assert "POST" in preflight.headers["access-control-allow-methods"]
        allowed = service.get("/models", headers={"origin": page})
        assert allowed.headers["access-control-allow-origin"] == page
        assert "Origin" in allowed.headers["vary"]
        refused = service.get("/models", headers={"origin": other})
        assert "access-control-allow-origin" not in refused.headers
        denied = service.request("OPTIONS", "/generate", headers={**asked, "origin": other})
        assert denied.status_code == 405


def test_metrics_count_exactly_what_clients_saw(small: LocalService) -> None:
    """Any mixture of requests at once leaves the counts that the clients have."""

    async def crowd() -> list[Any]:
        bodies = [{"n": 1 + i % 3} for i in range(10)] + [{"n": 0}] * 5
        calls = [small._request("POST", "/generate", {"json": body}) for body in bodies]
        calls += [small._request("GET", f"/unknown/{i}", {}) for i in range(7)]
        calls += [small._request("GET", f"/models/{name}", {}) for name in ("grey", "none", "vector")]
        return await asyncio.gather(*calls)

    answers = small.run(crowd())
    drawn = [answer for answer in answers[:10] if answer.status_code == 200]
    busy = [answer for answer in answers[:10] if answer.status_code == 429]
    assert len(drawn) + len(busy) == 10
    counted = samples(small)

    def count(name: str, **labels: str) -> float:
        return counted.get((name, tuple(sorted(labels.items()))), 0.0)

    def requests(route: str, status: int) -> float:
        return count("forger_requests_total", route=route, status=str(status))

    images = sum(len(answer.json()["data"]) for answer in drawn)
    assert requests("/generate", 200) == len(drawn)
    assert requests("/generate", 429) == len(busy)
    assert requests("/generate", 422) == 5
    assert requests("other", 404) == 7
    assert requests("/models/{name}", 200) == 2
    assert requests("/models/{name}", 404) == 1
    assert count("forger_images_total", model="grey", version="1") == images
    assert count("forger_batch_rows_sum", model="grey", version="1") == images
    assert count("forger_queue_wait_seconds_count", model="grey", version="1") == len(drawn)
    assert count("forger_encode_seconds_count", media_type="application/json") == len(drawn)
    assert count("forger_request_seconds_count", route="/generate") == 15
    assert count("forger_rejections_total", reason="invalid-input") == 5
    assert count("forger_rejections_total", reason="unknown-route") == 7
    runs = count("forger_batch_rows_count", model="grey", version="1")
    assert count("forger_inference_seconds_count", model="grey", version="1") == runs > 0
    digest = small.runtime.repository.resolve("grey").digest
    provider = "CPUExecutionProvider"
    assert count("forger_model_info", model="grey", version="1", digest=digest, provider=provider) == 1
