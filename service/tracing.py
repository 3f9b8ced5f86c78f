"""OpenTelemetry traces: the spans of followed requests, made afterwards from what their journeys noted.

A request's span holds *queue*, until its first run; *batch*, for each run with rows of it, linked to the
spans of all requests that shared the run, with *inference*, the model's own time, inside; and *encode*. Where
they go, which requests are followed and what the service is called are OpenTelemetry's own settings:
``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME`` and their like. A client's
``traceparent`` is honoured, and so is its flag that says whether to follow. OpenTelemetry is imported when
traces are switched on, and only then.

Source: OpenTelemetry's semantic conventions for HTTP spans; W3C Trace Context.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

from service.errors import ForgerError, InvalidSettings
from service.journey import Journey, Run
from service.logs import LineWriter

# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_OTLP = "opentelemetry.exporter.otlp.proto.http"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
_MOST_LINKS = 128  # as many as OpenTelemetry keeps
_LAST_WORDS_S = 5.0


def check_traces(mode: str) -> None:
    """Raise ``InvalidSettings`` if spans cannot be sent the way that is asked for."""
    try:
        is_there = mode != "otlp" or importlib.util.find_spec(f"{_OTLP}.trace_exporter") is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise InvalidSettings(
            "FORGER_TRACES='otlp': opentelemetry-exporter-otlp-proto-http is not installed (the extra "
            "`traces`); without it are allowed: off or console"
        )


def open_tracing(mode: str, console: LineWriter | IO[str]) -> Tracing | None:
    """Return what follows requests; None if traces are ``off``. Raises ``InvalidSettings``."""
    if mode == "off":
        return None
    check_traces(mode)
    if mode == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return Tracing(
            ConsoleSpanExporter(
                out=cast("IO[str]", console), formatter=lambda span: span.to_json(indent=None) + "\n"
            )
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return Tracing(OTLPSpanExporter())


class Tracing:
    """Follows requests, and hands their spans to an exporter, on a thread of its own."""

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # A collector that is away would otherwise leave a line for every span that is dropped.
        logging.getLogger("opentelemetry.sdk._shared_internal").setLevel(logging.ERROR)
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "forger"}
        self._provider = TracerProvider(
            resource=Resource.create({**named, "process.pid": os.getpid()}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("forger")
        self._propagator = TraceContextTextMapPropagator()

    def follow(self, method: str, request_id: str, headers: Mapping[str, str], began: float) -> Trace | None:
        """Return a request's trace, part of the one that its headers name; None if it is not to be followed.

        ``began`` is a time of ``time.perf_counter``.
        """
        from opentelemetry.trace import SpanKind

        known = method if method in _METHODS else "_OTHER"
        to_epoch_s = time.time() - time.perf_counter()
        span = self.tracer.start_span(
            known,
            self._propagator.extract(headers),
            SpanKind.SERVER,
            {"http.request.method": known, "forger.request_id": request_id},
            start_time=_ns(began + to_epoch_s),
        )
        return Trace(self.tracer, span, known, to_epoch_s) if span.is_recording() else None

    def close(self, patience_s: float = _LAST_WORDS_S) -> None:
        """Send what waits; a collector that does not answer is waited for no longer than so."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(patience_s)


class Trace(Journey):
    """One followed request. Its clock is its own, so that no step of the wall clock bends a span."""

    def __init__(self, tracer: Any, span: Span, method: str, to_epoch_s: float) -> None:  # noqa: ANN401 - OpenTelemetry's
        self.span = span
        self._tracer = tracer
        self._method = method
        self._to_epoch_s = to_epoch_s
        self._queued: float | None = None
        self._left_queue = False
        self._leaving = threading.Lock()  # its runs end on threads of their own

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits."""
        return f"{self.span.get_span_context().trace_id:032x}"

    def queued(self, model: str, digest: str, seed: int | None, rows: int) -> None:
        """Note when the queue was entered, and what for (``journey.Journey``, like those below)."""
        self._queued = time.perf_counter()
        facts: dict[str, Any] = {"forger.model": model, "forger.model_digest": digest, "forger.rows": rows}
        self.span.set_attributes(facts if seed is None else {**facts, "forger.seed": seed})

    def run_ended(self, run: Run, together: Sequence[Journey]) -> None:
        """Make the spans of a run in the traces of all requests that it served."""
        from opentelemetry.trace import Link

        traces = [one for one in together if isinstance(one, Trace)]
        links = [Link(one.span.get_span_context()) for one in traces[:_MOST_LINKS]]
        for one in traces:
            one._make_run(run, links)  # noqa: SLF001 - its like

    def _make_run(self, run: Run, links: Sequence[Any]) -> None:
        self._leave_queue(run.begun)
        batch = self._begin("batch", run.begun, self.span, links)
        batch.set_attribute("forger.batch_rows", run.rows)
        if run.inference_began is not None:
            inference = self._begin("inference", run.inference_began, batch)
            inference.end(self._time(run.inference_began + run.inference_s))
        if run.error is not None:
            _note_error(batch, run.error)
        batch.end(self._time(run.ended))

    def encoded(self, seconds: float) -> None:
        """Make the span of the answer's encoding."""
        now = time.perf_counter()
        self._begin("encode", now - seconds, self.span).end(self._time(now))

    def failed(self, error: Exception) -> None:
        """Note the error in the request's span."""
        _note_error(self.span, error)

    def answered(self, route: str, status: int) -> None:
        """End the request's span; one that is ended stays so."""
        from opentelemetry.trace import StatusCode

        if not self.span.is_recording():
            return
        now = time.perf_counter()
        self._leave_queue(now)
        self.span.update_name(f"{self._method} {route}")
        self.span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            self.span.set_status(StatusCode.ERROR)
        self.span.end(self._time(now))

    def _leave_queue(self, now: float) -> None:
        with self._leaving:
            if self._queued is None or self._left_queue:
                return
            self._left_queue = True
        self._begin("queue", self._queued, self.span).end(self._time(now))

    def _begin(self, name: str, at: float, parent: Span, links: Sequence[Any] = ()) -> Span:
        from opentelemetry.trace import set_span_in_context

        span: Span = self._tracer.start_span(
            name, set_span_in_context(parent), links=links, start_time=self._time(at)
        )
        return span

    def _time(self, at: float) -> int:
        return _ns(at + self._to_epoch_s)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _note_error(span: Span, error: Exception) -> None:
    """Note an error: of our own kinds what a client is told, of others where it came from, too."""
    from opentelemetry.trace import StatusCode

    kind = type(error).__name__
    span.set_attribute("error.type", kind)
    if isinstance(error, ForgerError):
        span.add_event("exception", {"exception.type": kind, "exception.message": str(error)[:1000]})
    else:
        span.record_exception(error)
        span.set_status(StatusCode.ERROR)
