"""text/event-stream: images as they are drawn, and whatever goes wrong told in the stream itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.events import EventClient, parse_events
from tests.fakes.models import NAN_AT
from tests.fakes.site import LocalService, local_service

STREAM = "text/event-stream"


@pytest.fixture
def narrow(models_dir: Path) -> Iterator[LocalService]:
    """A service of one lane that runs one image at a time, with room for four."""
    limits = {"max_images": 4, "max_batch": 1, "queue_rows": 4, "threads": 1}
    with local_service(models_dir, default_model="grey", **limits) as running:
        yield running


@pytest.fixture
def turnstile(narrow: LocalService, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Each run of the default model waits for its turn: ``release()`` lets one pass."""
    session = narrow.runtime.repository.resolve("grey").backend._session
    turns, inner = threading.Semaphore(0), session.draw

    def draw(z_ND: Any, weights_NK: Any, **how: bool) -> Any:
        assert turns.acquire(timeout=60)
        return inner(z_ND, weights_NK, **how)

    monkeypatch.setattr(session, "draw", draw)
    monkeypatch.setattr(session, "is_quick", False)  # a held run must not hold the event loop
    yield turns
    turns.release(100)


def without_bytes_of_time(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in {"id", "created", "timings"}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"n": 40, "seed": 3, "return_latents": True}),
        ("/generate", {"n": 5, "seed": 3, "layout": "grid"}),
        ("/generate", {"model": "vector", "n": 300, "seed": 1}),
        ("/generate", {"model": "vector", "n": 300, "seed": 1, "output_format": "png"}),
        (
            "/arithmetic",
            {"terms": [{"weight": 1, "of": [{"seed": 1}], "class_label": 2}], "jitter": {"n": 3}},
        ),
        ("/interpolate", {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}], "steps": 9}),
        (
            "/interpolate",
            {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}], "output_format": "gif"},
        ),
    ],
)
def test_the_stream_says_what_the_document_says(
    service: LocalService, path: str, body: dict[str, Any]
) -> None:
    """Item by item in the order of ``data``, and then the rest of the document."""
    whole = service.post(path, body).json()
    response = service.post(path, body, accept=STREAM)
    assert response.headers["content-type"].startswith(STREAM)
    assert response.headers["x-model-digest"] == whole["model_digest"]
    assert "content-length" not in response.headers
    *images, (name, done) = parse_events(response.text)
    assert {kind for kind, _ in images} == {"image"}
    assert [item for _, item in images] == whole["data"]
    assert name == "done"
    assert done["count"] == sum(len(item.get("items", [item])) for item in whole["data"])
    assert {*done} == {*whole, "count"} - {"data"}
    assert without_bytes_of_time(done) | {"data": whole["data"], "count": 0} == (
        without_bytes_of_time(whole) | {"count": 0}
    )


def test_images_come_as_they_are_drawn(narrow: LocalService, turnstile: threading.Semaphore) -> None:
    """Each is there before the run of the next one has begun."""

    async def play() -> None:
        client = EventClient(narrow, "/generate", {"n": 3, "seed": 1})
        assert await client.start() == 200
        for index in range(3):
            turnstile.release()
            [(name, item)] = await client.piece()
            assert (name, item["index"]) == ("image", index)
        [(name, _)] = await client.piece()
        assert name == "done"
        assert await client.piece() == []
        await client.exchange

    narrow.run(play())


def test_what_fails_on_the_way_is_an_event(service: LocalService) -> None:
    """The answer has begun by then: its status is 200, and the problem is the last event."""
    body = {"model": "fragile", "latents": [{"z": [NAN_AT, 0, 0, 0]}]}
    response = service.post("/generate", body, accept=STREAM, x_request_id="find-me")
    assert response.status_code == 200
    [(name, problem)] = parse_events(response.text)
    assert name == "error"
    assert (problem["type"], problem["status"]) == ("/problems/model-output", 500)
    assert (problem["instance"], problem["request_id"]) == ("/generate", "find-me")


def test_time_that_runs_out_on_the_way_is_an_event(
    narrow: LocalService, turnstile: threading.Semaphore
) -> None:
    """After the images that were drawn in time."""
    turnstile.release()
    response = narrow.post("/generate", {"n": 2, "seed": 1}, accept=STREAM, x_timeout_ms="1000")
    names = [(name, document.get("type")) for name, document in parse_events(response.text)]
    assert names == [("image", None), ("error", "/problems/deadline-exceeded")]


@pytest.mark.parametrize(
    ("body", "status"), [({"n": 0}, 422), ({"model": "none"}, 404), ({"latents": [{"latent": [1]}]}, 422)]
)
def test_what_is_refused_at_the_door_is_no_stream(
    service: LocalService, body: dict[str, Any], status: int
) -> None:
    response = service.post("/generate", body, accept=STREAM)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_a_full_queue_is_429_for_a_stream_too(narrow: LocalService, turnstile: threading.Semaphore) -> None:
    async def play() -> Any:
        client = EventClient(narrow, "/generate", {"n": 4, "seed": 1})
        assert await client.start() == 200
        options = {"json": {"n": 4}, "headers": {"accept": STREAM}}
        refused = await narrow._request("POST", "/generate", options)
        turnstile.release(4)
        await client.exchange
        return refused

    refused = narrow.run(play())
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


def test_the_rest_of_a_stream_that_nobody_reads_is_not_drawn(
    narrow: LocalService, turnstile: threading.Semaphore
) -> None:
    """What was delivered is counted, and the departure too."""

    async def play() -> int:
        client = EventClient(narrow, "/generate", {"n": 4, "seed": 1})
        assert await client.start() == 200
        turnstile.release()
        assert len(await client.piece()) == 1
        await client.leave()
        turnstile.release(3)
        await narrow._request("POST", "/generate", {"json": {}})
        await asyncio.sleep(0)  # cancelled tasks end at the loop's next turn
        return len(asyncio.all_tasks())

    assert narrow.run(play()) == 1, "nothing goes on behind the answers"
    text = narrow.get("/metrics").text
    assert 'forger_images_total{model="grey",version="1"} 2.0' in text
    assert 'forger_rejections_total{reason="client-left"} 1.0' in text
    assert 'forger_queue_rows{model="grey",version="1"} 0.0' in text
