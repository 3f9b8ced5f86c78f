"""Load: the event loop does nothing long itself, and no queue of the service grows without bound."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.generation import label_reading
from service.generation import studio as studio_module
from service.http import drawing
from tests.fakes.site import LocalService, local_service

READING = ("parse_json", "read", "place")


@pytest.fixture
def places(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """For each step of reading a request, whether the event loop's own thread took it."""
    loop_thread = service.run(_this_thread())
    seen: dict[str, bool] = {}

    def watched(name: str, inner: Any) -> Any:
        def step(*args: Any) -> Any:
            seen[name] = threading.get_ident() == loop_thread
            return inner(*args)

        return step

    case = drawing._SAMPLING
    steps = drawing.UseCase(watched("read", case.read), watched("place", case.place))
    monkeypatch.setattr(drawing, "_SAMPLING", steps)
    monkeypatch.setattr(drawing, "parse_json", watched("parse_json", drawing.parse_json))
    return seen


async def _this_thread() -> int:
    return threading.get_ident()


def test_small_requests_are_read_on_the_spot(service: LocalService, places: dict[str, bool]) -> None:
    assert service.generate({"n": 3, "seed": 1}).status_code == 200
    assert places == dict.fromkeys(READING, True)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "vector", "latents": [{"seed": seed} for seed in range(4000)]},
        {"class_label": {f"key-{place}": 1 for place in range(4000)}},
        {"latents": [{"latent": [0.5] * 40_000}]},
    ],
)
def test_large_bodies_leave_the_loop_to_others(
    service: LocalService, places: dict[str, bool], body: object
) -> None:
    assert service.generate(body).status_code in {200, 422}
    assert places == dict.fromkeys(READING, False)


def test_a_small_request_for_many_rows_is_read_on_the_spot_and_placed_elsewhere(
    service: LocalService, places: dict[str, bool]
) -> None:
    assert service.generate({"model": "vector", "n": 2000}, accept="application/x-npy").status_code == 200
    assert places == {"parse_json": True, "read": True, "place": False}


def test_too_long_a_list_is_refused_before_its_entries_are_looked_at(
    service: LocalService, places: dict[str, bool]
) -> None:
    """The limit is the named model's own, and the entries' faults are not told."""
    body = json.dumps({"model": "vector", "latents": [0] * 65_537}).encode()
    response = service.request("POST", "/generate", content=body)
    [fault] = response.json()["errors"]
    assert fault["pointer"] == "#/latents"
    assert "1 to 65536 (vectors a request), not 65537" in fault["detail"]
    assert "place" not in places


@pytest.fixture
def narrow(models_dir: Path) -> Iterator[LocalService]:
    """A service whose models' queues hold one request of three images."""
    with local_service(models_dir, default_model="grey", max_images=3, queue_rows=3) as running:
        yield running


@pytest.mark.parametrize("step", ["prepared", "encoded"])
def test_rows_that_wait_for_the_studios_threads_are_bounded_too(narrow: LocalService, step: str) -> None:
    """Requests are refused at the door while as many rows as may wait are being prepared or encoded."""
    studio, gate, held = narrow.runtime.studio, asyncio.Event(), asyncio.Event()
    inner = studio.off_loop

    async def off_loop(function: Any, *args: Any) -> Any:
        if function.__name__ == {"prepared": "_prepare", "encoded": "package"}[step]:
            held.set()
            await gate.wait()
        return await inner(function, *args)

    studio.off_loop = off_loop

    async def play() -> list[Any]:
        # Only latents that are told are prepared on a thread, and only what takes long is encoded on one.
        asked = {"n": 3, "return_latents": True, "output_format": "webp"}
        first = asyncio.ensure_future(narrow._request("POST", "/generate", {"json": asked}))
        await held.wait()
        refused = await narrow._request("POST", "/generate", {"json": {"n": 1}})
        other_model = {"model": "colour", "n": 1, "output_format": "npy"}
        other = asyncio.ensure_future(narrow._request("POST", "/generate", {"json": other_model}))
        gate.set()
        answers = [await first, refused, await other]
        return [*answers, await narrow._request("POST", "/generate", {"json": {"n": 3}})]

    first, refused, other, later = narrow.run(play())
    assert (first.status_code, other.status_code, later.status_code) == (200, 200, 200)
    assert refused.status_code == 429
    assert "3 rows of this model are being prepared or encoded and at most 3 may" in refused.json()["detail"]


def test_nothing_is_worked_out_for_a_request_that_does_not_fit(
    narrow: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the load must not cost the service more than saying no."""
    work = []
    monkeypatch.setattr(label_reading, "random_class", lambda *_: work.append("classes"))
    monkeypatch.setattr(studio_module, "_prepare", lambda *_: work.append("rows"))
    monkeypatch.setattr(narrow.runtime.repository.resolve("grey").backend, "queue_limit", 2)
    refused = narrow.generate({"model": "grey", "n": 3, "seed": 1})
    assert refused.status_code == 429
    assert (
        "0 rows are waiting for this model and at most 2 may; 3 more do not fit" in refused.json()["detail"]
    )
    assert work == []


def test_while_there_is_no_room_a_look_at_the_number_is_enough(
    narrow: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with a request that would not fit is told once there is room."""
    monkeypatch.setattr(narrow.runtime.repository.resolve("grey").backend, "queue_limit", 2)
    wrong = {"model": "grey", "n": 3, "colour": "blue"}
    assert narrow.generate(wrong).status_code == 422, "nobody has been refused yet"
    assert narrow.generate({"model": "grey", "n": 3}).status_code == 429
    refused = narrow.generate(wrong)
    assert refused.status_code == 429
    assert "3 more do not fit" in refused.json()["detail"]
    monkeypatch.setattr(narrow.runtime.studio, "_full_until", 0.0)
    assert narrow.generate(wrong).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"n": 2, "colour": "blue"}, 422),  # it would fit
        ({"n": 4}, 422),  # more than a request may have
        ({"n": 0}, 422),
        ({"n": "3"}, 422),
        ({"n": True}, 422),
        ({"model": 3, "n": 3}, 422),
        ({"model": "nobody", "n": 3}, 404),
        ({"n": 3, "latents": []}, 422),
        ([], 422),
        ({"n": 1}, 200),
    ],
)
def test_what_cannot_be_seen_at_once_is_looked_at_closely_also_while_there_is_no_room(
    narrow: LocalService, monkeypatch: pytest.MonkeyPatch, body: Any, status: int
) -> None:
    monkeypatch.setattr(narrow.runtime.repository.resolve("grey").backend, "queue_limit", 2)
    assert narrow.generate({"model": "grey", "n": 3}).status_code == 429
    assert narrow.post("/generate", body).status_code == status


_ASKED = {"n": 1, "seed": 1}
_under_way: list[Any] = []


def _run_until_ended(_: object, done: Any, **__: object) -> Any:
    _under_way.append(done)
    return lambda: _under_way.pop()(TimeoutError())


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (_ASKED, {}, 200),
        (_ASKED, {"x_timeout_ms": "20"}, 504),
        ({"n": 0}, {}, 422),
        ({"n": 3, "model": "grey"}, {}, 429),
    ],
)
def test_a_request_leaves_nothing_to_the_garbage_collector(
    narrow: LocalService, body: dict[str, object], headers: dict[str, str], status: int
) -> None:
    """Under load what it has to look through is much, and everybody waits for a third of a second."""
    backend = narrow.runtime.repository.resolve("grey").backend
    if status == 429:
        backend.queue_limit = 2
    if status == 504:
        backend.run = _run_until_ended
    narrow.generate(body, **headers)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        statuses = [narrow.generate(body, **headers).status_code for _ in range(5)]
        gc.collect()
        left = {type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("service.")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert (statuses, left) == ([status] * 5, set())
