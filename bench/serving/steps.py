"""What each step of a request for one image costs: microseconds warm, and cold.

*Warm* is in a tight loop. *Cold* is after something else has passed through the processor's caches, as a
model's weights do between two requests; in a busy server each step costs that, or more. The last rows are a
whole request through the edge, with everything switched on and a model that answers at once.

    .venv/bin/python -m bench.serving.steps
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from pybase64 import b64encode_as_string

from bench.serving.models import make_models
from bench.serving.servers import CACHE
from contract.latents import random_class, standard_normal
from service.encoding import encode_image, encode_npy
from service.engine import Lanes, Output, Session
from service.generation.order import Drawing
from service.generation.sampling import place_generate, read_generate
from service.http.body import parse_json
from service.http.edge import Edge, Site
from service.http.exchange import open_exchange
from service.http.whole import Whole
from service.ids import new_id
from service.packaging.answer import JSON, package
from service.runtime import Runtime
from service.settings import load_settings

RESULTS = Path(__file__).parent.parent / "results" / "serving-steps.json"
_MODEL = "bench-mnist"
_BODY = f'{{"model":"{_MODEL}","n":1,"seed":5}}'.encode()
_CALLS = 400
_EVICTED = np.zeros(8 * 2**20, np.uint8)

Step = Callable[[], object]


def _scope() -> dict[str, Any]:
    headers = [
        (b"host", b"127.0.0.1:3000"),
        (b"content-type", b"application/json"),
        (b"content-length", b"38"),
    ]
    return {
        "type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "query_string": b"",
        "headers": headers, "scheme": "http", "root_path": "", "server": ("127.0.0.1", 3000),
        "client": ("127.0.0.1", 50000), "http_version": "1.1",
    }  # fmt: skip


def steps(runtime: Runtime) -> dict[str, Step]:
    """Return the steps that need no event loop, by name."""
    repository = runtime.repository
    request = read_generate(parse_json(_BODY), repository)
    order = place_generate(request, repository)
    rng = np.random.default_rng(0)
    small, large = (rng.integers(0, 256, size, np.uint8) for size in ((28, 28, 1), (64, 64, 3)))
    drawing = Drawing(order, None, small[np.newaxis], 0.0, 0.0, 1)
    packed = package(drawing, JSON)
    recipe = {"model": _MODEL, "seed": 5, "index": 0, "class_weights": None, "truncation": None}
    many = np.arange(64, dtype=np.uint64)
    return {
        "headers, ids": lambda: open_exchange(_scope()),
        "JSON to a document": lambda: parse_json(_BODY),
        "document to a body": lambda: read_generate({"model": _MODEL, "n": 1, "seed": 5}, repository),
        "body to an order": lambda: place_generate(request, repository),
        "the class of an image that names none": lambda: random_class([5], [0], 10),
        "latents of 1 image": lambda: standard_normal([5], [0], 100),
        "latents of 64 images": lambda: standard_normal(many, many, 100),
        "PNG, 28 × 28 grey": lambda: encode_image(small, "png", 90, recipe),
        "PNG, 64 × 64 colour": lambda: encode_image(large, "png", 90, recipe),
        "JPEG, 64 × 64 colour": lambda: encode_image(large, "jpeg", 90, recipe),
        "NPY, 64 of 28 × 28": lambda: encode_npy(np.broadcast_to(small, (64, *small.shape))),
        "base64 of 4 KB": lambda: b64encode_as_string(bytes(4096)),
        "an id": lambda: new_id(12),
        "image to answer: PNG, base64, facts, JSON": lambda: package(drawing, JSON),
        "answer to headers": lambda: Whole(packed.body, JSON, {"Server-Timing": "x", "Vary": "Accept"}),
    }


def _timed(times: list[float], *, cold: bool) -> Iterator[None]:
    """Yield so often; append the seconds that were spent each time until the next was asked for."""
    for _ in range(_CALLS):
        if cold:
            _EVICTED[::64] += 1
            _EVICTED.sum()
        begun = time.perf_counter()
        yield
        times.append(time.perf_counter() - begun)


def microseconds(step: Step, *, cold: bool) -> float:
    """Return the median time of a step."""
    times: list[float] = []
    for _ in _timed(times, cold=cold):
        step()
    return statistics.median(times) * 1e6


async def _microseconds(step: Callable[[], Awaitable[object]], *, cold: bool) -> float:
    """Return the median time of a step that is awaited."""
    times: list[float] = []
    for _ in _timed(times, cold=cold):
        await step()
    return statistics.median(times) * 1e6


async def _request(edge: Edge) -> int:
    """Send a request through the edge as uvicorn does; return the answer's status."""
    body = {"type": "http.request", "body": _BODY, "more_body": False}
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        nonlocal body
        if body is None:
            await asyncio.Event().wait()
        message, body = body, None  # type: ignore[assignment]
        return message

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await edge(_scope(), receive, send)
    return int(messages[0]["status"])


def _drawn_at_once(_self: Session, z_ND: np.ndarray, _weights: object, **_how: bool) -> Output:
    return Output(np.zeros((len(z_ND), 28, 28, 1), np.uint8), np.ones(len(z_ND), np.bool_))


async def whole(runtime: Runtime) -> dict[str, dict[str, float]]:
    """Return the cost of a hand-over, and of a whole request that takes ONNX Runtime no time."""
    lanes, loop = Lanes(1), asyncio.get_running_loop()

    async def hand_over() -> None:
        future = loop.create_future()
        lanes.run(lambda result, _error: loop.call_soon_threadsafe(future.set_result, result), int)
        await future

    site = Site.over(runtime)
    edge = Edge(_nowhere, lambda: site)
    edge._is_direct = True  # noqa: SLF001 - as when BentoML's middleware is passed by
    Session.draw = _drawn_at_once  # type: ignore[method-assign]
    assert await _request(edge) == 200
    figures = {}
    for name, step in {
        "a hand-over to a thread and back": hand_over,
        "a whole request": lambda: _request(edge),
    }.items():
        figures[name] = {
            "warm_us": await _microseconds(step, cold=False), "cold_us": await _microseconds(step, cold=True)
        }  # fmt: skip
    lanes.close()
    figures["calls of Python functions in a whole request"] = {"calls": float(await _calls(edge))}
    return figures


async def _nowhere(_scope: object, _receive: object, _send: object) -> None:
    raise AssertionError("the edge serves this path itself")


async def _calls(edge: Edge) -> int:
    """Return how many Python functions are called, or resumed, for one request on the event loop."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    await _request(edge)
    sys.setprofile(None)
    return calls


def main() -> None:
    """Measure all; print a table and write ``bench/results/serving-steps.json``."""
    make_models(CACHE / "models")
    runtime = Runtime(load_settings({"FORGER_THREADS": "2", "FORGER_MODELS_DIR": str(CACHE / "models")}))
    figures: dict[str, dict[str, float]] = {
        name: {"warm_us": microseconds(step, cold=False), "cold_us": microseconds(step, cold=True)}
        for name, step in steps(runtime).items()
    }
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures |= runner.run(whole(runtime))
        runner.run(runtime.close())
    print("| | warm, µs | cold, µs |\n|---|--:|--:|")
    for name, row in figures.items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in row.values()) + " |")
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
