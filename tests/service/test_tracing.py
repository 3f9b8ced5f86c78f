"""Traces: what a request's spans say and how they hang together; and that nothing of it is there when off."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service.errors import InvalidSettings
from service.tracing import Tracing, check_traces, open_tracing
from tests.fakes.site import LocalService, local_service

ROOT = Path(__file__).resolve().parents[2]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FOLLOWED, NOT_FOLLOWED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


class Followed:
    """A service whose requests are followed, and the spans that came of them."""

    def __init__(self, service: LocalService) -> None:
        self.service = service
        self.exporter = InMemorySpanExporter()
        self.tracing = Tracing(self.exporter)
        service.edge.__dict__["_site"] = replace(service.edge._site, tracing=self.tracing)

    def spans(self) -> list[ReadableSpan]:
        """Return the spans that ended since the last call."""
        self.tracing._provider.force_flush()
        spans = list(self.exporter.get_finished_spans())
        self.exporter.clear()
        return spans


@pytest.fixture(scope="module")
def followed(models_dir: Path) -> Iterator[Followed]:
    with local_service(models_dir, default_model="grey") as service:
        made = Followed(service)
        yield made
        made.tracing.close()


def named(spans: list[ReadableSpan]) -> dict[str, ReadableSpan]:
    assert len({span.name for span in spans}) == len(spans)
    return {span.name: span for span in spans}


def test_a_drawing_is_told_from_its_parent_to_its_encoding(followed: Followed) -> None:
    followed.spans()
    answer = followed.service.generate({"seed": 5}, traceparent=FOLLOWED, x_request_id="r-1")
    spans = named(followed.spans())
    assert set(spans) == {"POST /generate", "queue", "batch", "inference", "encode"}
    root, batch = spans["POST /generate"], spans["batch"]
    assert root.kind is SpanKind.SERVER
    assert f"{root.context.trace_id:032x}" == TRACE
    assert f"{root.parent.span_id:016x}" == PARENT
    assert {span.context.trace_id for span in spans.values()} == {root.context.trace_id}
    for name in ("queue", "batch", "encode"):
        assert spans[name].parent.span_id == root.context.span_id
    assert spans["inference"].parent.span_id == batch.context.span_id
    assert dict(root.attributes) == {
        "http.request.method": "POST", "http.route": "/generate", "http.response.status_code": 200,
        "forger.request_id": "r-1", "forger.model": "grey:1", "forger.seed": 5, "forger.rows": 1,
        "forger.model_digest": answer.json()["model_digest"],
    }  # fmt: skip
    assert batch.attributes["forger.batch_rows"] == 1
    for span in spans.values():
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time
    assert spans["queue"].end_time <= batch.end_time
    assert batch.start_time <= spans["inference"].start_time <= spans["inference"].end_time <= batch.end_time
    assert batch.end_time <= spans["encode"].end_time


def test_a_shared_run_is_linked_to_all_that_it_served(followed: Followed) -> None:
    """While first runs are held, others pile up and are a batch: in each of their traces, linked to all."""
    service = followed.service
    session = service.runtime.repository.resolve("grey").backend._session
    gate, held, inner = threading.Event(), threading.Semaphore(0), session.draw

    def draw(*args: Any, **how: bool) -> Any:
        held.release()
        assert gate.wait(60)
        return inner(*args, **how)

    followed.spans()
    patch = pytest.MonkeyPatch()
    patch.setattr(session, "draw", draw)
    patch.setattr(session, "is_quick", False)
    try:
        with ThreadPoolExecutor(6) as clients:
            first = [clients.submit(service.generate, {"seed": seed}) for seed in range(2)]
            for _ in first:
                assert held.acquire(timeout=60)
            waiting = [clients.submit(service.generate, {"seed": seed}) for seed in range(2, 6)]
            backend = service.runtime.repository.resolve("grey").backend
            patience = time.monotonic() + 60
            while service.runtime._batcher._queues[backend].rows < 4:
                assert time.monotonic() < patience
                time.sleep(0.005)
            gate.set()
            assert all(done.result().status_code == 200 for done in [*first, *waiting])
    finally:
        patch.undo()
    spans = followed.spans()
    roots = {span.context.span_id for span in spans if span.kind is SpanKind.SERVER}
    batches = [span for span in spans if span.name == "batch"]
    shared = [batch for batch in batches if batch.attributes["forger.batch_rows"] > 1]
    assert len(roots) == len(batches) == 6
    assert len(shared) >= 2
    for batch in batches:
        linked = {link.context.span_id for link in batch.links}
        assert len(linked) == batch.attributes["forger.batch_rows"]
        assert linked <= roots
        assert batch.parent.span_id in linked


def test_what_fails_says_why(followed: Followed) -> None:
    followed.spans()
    followed.service.generate({"n": 0})
    followed.service.get("/nothing/of/the/kind")
    refused, unknown = followed.spans()
    assert (refused.name, unknown.name) == ("POST /generate", "GET other")
    assert refused.attributes["http.response.status_code"] == 422
    assert refused.attributes["error.type"] == "InvalidInput"
    assert "at least 1" in refused.events[0].attributes["exception.message"]
    assert refused.status.status_code is StatusCode.UNSET, "the fault is the client's"


def test_a_run_that_fails_is_an_error_in_its_batch_and_its_request(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = followed.service.runtime.repository.resolve("grey").backend._session

    def explode(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the device is on fire")

    monkeypatch.setattr(session, "draw", explode)
    followed.spans()
    assert followed.service.generate({"seed": 1}).status_code == 500
    spans = named(followed.spans())
    for name in ("batch", "POST /generate"):
        assert spans[name].status.status_code is StatusCode.ERROR
        assert spans[name].attributes["error.type"] == "RuntimeError"
        assert "on fire" in spans[name].events[0].attributes["exception.message"]
    assert "inference" not in spans


def test_streams_and_pictures_are_followed_too(followed: Followed) -> None:
    followed.spans()
    followed.service.generate({"n": 2, "seed": 1}, accept="text/event-stream")
    assert {"POST /generate", "queue", "batch", "inference"} <= {span.name for span in followed.spans()}
    followed.service.get("/images/grey/1/1.png")
    assert "GET /images/{model}/{seed}/{index}.png" in {span.name for span in followed.spans()}


def test_the_clients_wish_not_to_be_followed_is_honoured(followed: Followed) -> None:
    followed.spans()
    assert followed.service.generate({}, traceparent=NOT_FOLLOWED).status_code == 200
    assert followed.spans() == []


@pytest.mark.parametrize("parent", ["nonsense", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01"])
def test_a_parent_that_is_not_sound_begins_a_trace_of_its_own(followed: Followed, parent: str) -> None:
    followed.spans()
    followed.service.generate({}, traceparent=parent)
    (root,) = [span for span in followed.spans() if span.kind is SpanKind.SERVER]
    assert root.parent is None


def test_methods_of_a_clients_invention_are_one_name(followed: Followed) -> None:
    followed.spans()
    followed.service.request("BREW", "/generate")
    assert followed.spans()[0].name == "_OTHER /generate"


def test_off_is_nothing_at_all(service: LocalService) -> None:
    assert service.runtime.tracing is None
    assert service.edge._site.tracing is None
    assert open_tracing("off", sys.stderr) is None
    check = "import sys, service.tracing, service.runtime; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_on_the_console_a_span_is_a_line(models_dir: Path) -> None:
    lines: list[str] = []

    class Console:
        def write(self, text: str) -> int:
            lines.append(text)
            return len(text)

        def flush(self) -> None:
            pass

    tracing = open_tracing("console", Console())
    assert tracing is not None
    trace = tracing.follow("GET", "r-1\nforged", {}, time.perf_counter())
    trace.answered("/models", 200)
    tracing.close()
    (line,) = lines
    assert line.count("\n") == 1
    assert json.loads(line)["name"] == "GET /models"


def test_without_its_package_a_collector_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.tracing._OTLP", "opentelemetry.exporter.none_such")
    with pytest.raises(
        InvalidSettings, match=r"FORGER_TRACES='otlp'.*is not installed.*allowed: off or console"
    ):
        check_traces("otlp")
    check_traces("console")


class Collector:
    """An OTLP collector on the loopback, which keeps what it is sent."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes]] = []
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                came.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_spans_reach_a_collector(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "a-forger")
    try:
        with local_service(models_dir, default_model="grey", traces="otlp") as service:
            assert service.generate({"seed": 1}, traceparent=FOLLOWED).status_code == 200
    finally:
        collector.close()
    (path, body) = collector.came[0]
    assert path == "/v1/traces"
    resource = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert attributes["service.name"] == "a-forger"
    names = {span.name for scope in resource.scope_spans for span in scope.spans}
    assert names == {"POST /generate", "queue", "batch", "inference", "encode"}


def test_a_collector_that_is_away_harms_nobody(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are answered, and the service ends within its patience."""

    class Away(InMemorySpanExporter):
        def export(self, spans: Any) -> Any:
            gone.wait(60)

    gone = threading.Event()
    tracing = Tracing(Away())
    with local_service(models_dir, default_model="grey") as service:
        service.edge.__dict__["_site"] = replace(service.edge._site, tracing=tracing)
        assert all(service.generate({}).status_code == 200 for _ in range(20))
        begun = time.monotonic()
        tracing.close(0.2)
        assert time.monotonic() - begun < 10.0
    gone.set()
