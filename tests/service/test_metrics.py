"""Metrics: well formed, bounded whatever is asked for, and right over several processes that come and go."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service import metrics as service_metrics
from tests.fakes.promlint import faults, promtool_faults
from tests.fakes.site import LocalService

ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import os, signal, sys
from service.metrics import Metrics
class Backend: pass
metrics, backend = Metrics(), Backend()
metrics.name_backend(backend, "grey", 1)
metrics.rows_delivered("grey", 1, 3)
metrics.waiting_changed(backend, 5)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
print(metrics.render().decode())
"""


def worker(folder: Path, *arguments: str, survives: bool = True) -> str:
    """Run a worker whose files lie in a folder; return what it prints."""
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": "", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=survives).stdout


def test_counters_of_all_workers_add_up_and_a_dead_workers_gauge_is_gone(tmp_path: Path) -> None:
    worker(tmp_path, "-c", WORKER, "killed", survives=False)
    text = worker(tmp_path, "-c", WORKER, "lives")
    assert 'forger_images_total{model="grey",version="1"} 6.0' in text
    assert 'forger_queue_rows{model="grey",version="1"} 5.0' in text


def test_the_files_of_workers_that_died_do_not_pile_up_and_their_counts_go_on(tmp_path: Path) -> None:
    for _ in range(5):
        text = worker(tmp_path, "-c", WORKER, "lives")
    assert 'forger_images_total{model="grey",version="1"} 15.0' in text
    assert 'forger_queue_rows{model="grey",version="1"} 5.0' in text
    assert len(list(tmp_path.glob("counter_*"))) == 1
    assert faults(text) == []


def test_a_file_that_is_taken_over_while_metrics_are_read_is_read_under_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(tmp_path, "-c", WORKER, "lives")
    (counts,) = tmp_path.glob("counter_*")
    merge = service_metrics.MultiProcessCollector.merge

    def taken_over_first(files: list[str], *, accumulate: bool) -> Any:
        if counts.exists():
            counts.rename(counts.with_name("counter_1.db"))
        return merge(files, accumulate=accumulate)

    monkeypatch.setattr(service_metrics.MultiProcessCollector, "merge", staticmethod(taken_over_first))
    collector = service_metrics._Collector(None, path=str(tmp_path))
    (images,) = (metric for metric in collector.collect() if metric.name == "forger_images")
    assert images.samples[0].value == 3.0


AGAIN = """
import os, sys
from service.metrics import Metrics
metrics = Metrics()
class Backend: pass
backend = Backend()
metrics.name_backend(backend, "grey", 1, "sha256:0")
if len(sys.argv) == 1:
    metrics.waiting_changed(backend, 5)
    metrics.rows_delivered("grey", 1, 3)
    os.execv(sys.executable, [sys.executable, __file__, "again"])
metrics.queue_rows["grey", "1"]
print(metrics.render().decode())
"""


def test_a_process_does_not_go_on_with_the_gauges_of_another_that_had_its_id(tmp_path: Path) -> None:
    """In a container, ids come again soon."""
    script = tmp_path / "again.py"
    script.write_text(AGAIN)
    files = tmp_path / "files"
    files.mkdir()
    text = worker(files, str(script))
    assert 'forger_queue_rows{model="grey",version="1"} 0.0' in text
    assert 'forger_images_total{model="grey",version="1"} 3.0' in text
    assert faults(text) == []
    assert not promtool_faults(text)


def test_who_sees_a_process_end_can_have_its_gauges_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    ours, others = tmp_path / f"gauge_livesum_{os.getpid()}.db", tmp_path / "counter_77.db"
    for path in (ours, others, tmp_path / "gauge_livesum_77.db", tmp_path / "gauge_livemax_77.db"):
        path.touch()
    service_metrics.forget_process(77)
    service_metrics.forget_process(77)
    assert set(tmp_path.iterdir()) == {ours, others}
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    (tmp_path / f"gauge_livesum_{int(dead.stdout)}.db").touch()
    service_metrics.Metrics()
    assert set(tmp_path.iterdir()) == {ours, others}, "who starts clears what the dead have left"


def test_without_shared_files_there_is_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    service_metrics.forget_process(1)
    service_metrics.forget_dead_processes()


def test_metrics_keep_to_prometheus_rules(service: LocalService) -> None:
    """With everything in them: successes, refusals, streams, pictures, archives."""
    for accept in ("application/json", "image/png", "application/zip", "text/event-stream"):
        assert service.generate({"n": 1}, accept=accept).status_code == 200
    service.generate({"n": 0})
    service.get("/nothing")
    text = service.get("/metrics").text
    assert "forger_requests_total" in text
    assert faults(text) == []
    assert not promtool_faults(text)


def test_the_rules_find_what_breaks_them() -> None:
    text = (
        "# HELP a_seconds A.\n# TYPE a_seconds counter\na_seconds 1.0\n"
        "# TYPE b_milliseconds gauge\nb_milliseconds 1.0\nb_milliseconds 2.0\n"
        "# HELP c_total C.\n# TYPE c_total gauge\nc_total 1.0\nlone 1.0\n"
    )
    found = " ".join(faults(text))
    for fault in ("must end in _total", "no help", "base units", "only a counter", "occurs twice"):
        assert fault in found


def series(service: LocalService) -> set[str]:
    lines = service.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def test_ten_thousand_paths_methods_and_names_add_no_series(service: LocalService) -> None:
    """Whatever is asked for stands under a route's template, or under ``other``."""

    async def ask(number: int) -> None:
        path = (
            f"/{number}",
            f"/models/{number}",
            f"/images/{number}/1/1.png",
            f"/problems/{number}",
            "/generate",
        )
        body = b'{"model": "no-such-%d"}' % number
        scope: dict[str, Any] = {
            "type": "http", "method": f"M{number}" if number % 7 == 0 else ("GET", "POST")[number % 5 == 4],
            "path": path[number % 5], "raw_path": path[number % 5].encode(), "query_string": b"",
            "headers": [(b"x-request-id", b"%d" % number), (b"content-length", b"%d" % len(body))],
            "scheme": "http", "root_path": "", "server": ("a", 1), "client": ("b", 2), "http_version": "1.1",
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(_message: dict[str, Any]) -> None:
            await asyncio.sleep(0)

        await service.edge(scope, receive, send)

    async def ask_all(numbers: range) -> None:
        for number in numbers:
            await ask(number)

    service.run(ask_all(range(100)))
    series(service)  # so that asking for them is among them
    before = series(service)
    service.run(ask_all(range(100, 10_100)))
    assert series(service) == before


def test_a_file_that_a_worker_is_just_making_is_passed_by(tmp_path: Path) -> None:
    """It is empty for a moment; whoever asks for the metrics then gets all others."""
    (tmp_path / "gauge_livesum_1.db").touch()
    text = worker(tmp_path, "-c", WORKER, "lives")
    assert 'forger_images_total{model="grey",version="1"} 3.0' in text
