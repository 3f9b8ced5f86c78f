"""A backend that is served no more is let go of, as soon as nobody waits for it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import weakref
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from service.batcher import Batcher
from service.metrics import Metrics
from tests.fakes.backends import FOREVER, RecordingBackend, RecordingObserver, load
from tests.fakes.virtual_time import run_virtually


def submit(batcher: Batcher, backend: RecordingBackend) -> Coroutine[Any, Any, Any]:
    return batcher.submit(backend, load("job", 1), 1, FOREVER)


def test_an_idle_backend_is_let_go_of_at_once() -> None:
    async def story() -> None:
        batcher, backend = Batcher(1, RecordingObserver()), RecordingBackend()
        await submit(batcher, backend)
        gone = weakref.ref(backend)
        batcher.retire(backend)
        await asyncio.sleep(0)
        assert not batcher._queues
        del backend
        assert gone() is None

    run_virtually(story())


def test_one_that_is_waited_for_is_run_to_the_end_and_then_let_go_of() -> None:
    async def story() -> None:
        batcher, backend = Batcher(1, RecordingObserver()), RecordingBackend(max_batch=1)
        jobs = [asyncio.ensure_future(submit(batcher, backend)) for _ in range(5)]
        await asyncio.sleep(0.5)
        batcher.retire(backend)
        await asyncio.gather(*jobs)
        assert len(backend.runs) == 5
        assert not batcher._queues

    run_virtually(story())


def test_a_late_job_for_it_is_done_and_leaves_nothing() -> None:
    """A request keeps the model that it found, however late it comes to draw."""

    async def story() -> None:
        batcher, backend, other = Batcher(1, RecordingObserver()), RecordingBackend(), RecordingBackend()
        await submit(batcher, backend)
        batcher.retire(backend)
        await asyncio.sleep(0)
        await submit(batcher, backend)
        await submit(batcher, other)
        assert list(batcher._queues) == [other]
        del backend
        await submit(batcher, other)
        assert not batcher._queues.retired

    run_virtually(story())


def test_one_that_was_never_asked_is_no_trouble() -> None:
    async def story() -> None:
        batcher, backend = Batcher(1, RecordingObserver()), RecordingBackend()
        batcher.retire(backend)
        await submit(batcher, RecordingBackend())
        assert len(batcher._queues) == 1

    run_virtually(story())


_COUNTING = """
from service.metrics import Metrics
class Backend: pass
metrics, kept = Metrics(), []
for version in (1, 2, 3, 4, 5, 3):
    backend = Backend()
    metrics.name_backend(backend, "grey", version, "digest")
    metrics.model_info["grey", str(version), "digest", "CPU"].set(1)
    metrics.rows_delivered("grey", version, 1)
    metrics.run_ended("grey", version, 0.1)
    metrics.run_started(backend, 1)
    metrics.waiting_changed(backend, 1)
    if len(kept) < 4:
        metrics.forget_model("grey", version)
        metrics.rows_delivered("grey", version, 1)
    kept.append(backend)
print(metrics.render().decode())
"""


@pytest.mark.parametrize("shared", ["no", "shared"])
def test_the_metrics_show_no_model_that_went(shared: str, tmp_path: Path) -> None:
    """Also what late requests count, and also where processes share files from which nothing is removed."""
    root = Path(__file__).resolve().parents[2]
    environ = {"PATH": "", "PYTHONPATH": str(root)}
    environ |= {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)} if shared == "shared" else {}
    command = [sys.executable, "-c", _COUNTING]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert set(re.findall('version="([0-9]+)"', done.stdout)) == {"3", "5"}
    assert len(re.findall("(?m)^forger_model_info{", done.stdout)) == 2


def test_metrics_name_a_backend_for_as_long_as_it_lives() -> None:
    metrics, backend = Metrics(), RecordingBackend()
    metrics.name_backend(backend, "grey", 1)
    assert list(metrics._models.values()) == [("grey", "1")]
    metrics.forget_model("grey", 1)
    metrics.run_started(backend, 1)  # of a request that is under way
    del backend
    assert not metrics._models
