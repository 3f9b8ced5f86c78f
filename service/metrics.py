"""The service's metrics, for Prometheus. Labels are bounded: route templates, models, slugs.

What happens is noted in a :class:`~service.tally.Tally`, and written before this process renders it.
Under BentoML the values lie in files that all worker processes share (``PROMETHEUS_MULTIPROC_DIR``), and
what is rendered is their sum; without it they lie in this process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.tally import Tally

MEDIA_TYPE = CONTENT_TYPE_LATEST

_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MODEL = ("model", "version")
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


ChildT = TypeVar("ChildT", Counter, Gauge, Histogram)


class Labelled(dict[tuple[str, ...], ChildT]):
    """A metric by the values of its labels, each kept: to find it again takes a tenth of ``labels()``."""

    def __init__(self, metric: ChildT) -> None:
        self._metric: ChildT = metric

    def __missing__(self, values: tuple[str, ...]) -> ChildT:
        child: ChildT = self._metric.labels(*values)
        self[values] = child
        return child


_process = [os.getpid()]
os.register_at_fork(after_in_child=lambda: _process.__setitem__(0, os.getpid()))

if _DIRECTORY_VARIABLE in os.environ:
    # The library asks the system for the process's id at every count, for the sake of forks.
    values.ValueClass = values.MultiProcessValue(lambda: _process[0])  # type: ignore[no-untyped-call]  # as it documents


class Metrics:
    """Every metric of the service, under names that clients may rely on."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._models: dict[int, tuple[str, str]] = {}
        self._tally = Tally()

        self.requests = self._counter("forger_requests", "Requests answered", "route", "status")
        self.request_seconds = self._histogram(
            "forger_request_seconds", "From a request's arrival to its answer's last byte", _SECONDS, "route"
        )
        self.rejections = self._counter("forger_rejections", "Requests answered with a problem", "reason")
        self.images = self._counter("forger_images", "Rows (images or vectors) delivered", *_MODEL)
        self.batch_rows = self._histogram("forger_batch_rows", "Rows of each run of a model", _ROWS, *_MODEL)
        self.queue_rows = self._gauge("forger_queue_rows", "Rows waiting", "livesum", *_MODEL)
        self.queue_wait_seconds = self._histogram(
            "forger_queue_wait_seconds", "From a request's admission to its first run", _SECONDS, *_MODEL
        )
        self.inference_seconds = self._histogram(
            "forger_inference_seconds", "One run of a model", _SECONDS, *_MODEL
        )
        self.encode_seconds = self._histogram(
            "forger_encode_seconds", "Encoding one answer", _SECONDS, "media_type"
        )
        self.model_info = self._gauge(
            "forger_model_info",
            "1 for each model served",
            "livemax",
            *_MODEL,
            "digest",
            "provider",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Labelled[Counter]:
        return Labelled(Counter(name, text, labels, registry=self._registry))

    def _gauge(self, name: str, text: str, mode: Any, *labels: str) -> Labelled[Gauge]:  # noqa: ANN401 - one of the library's literals
        return Labelled(Gauge(name, text, labels, registry=self._registry, multiprocess_mode=mode))

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Labelled[Histogram]:
        return Labelled(Histogram(name, text, labels, registry=self._registry, buckets=buckets))

    def render(self) -> bytes:
        """Return all metrics of all workers in Prometheus's text format."""
        self.write()
        directory = os.environ.get(_DIRECTORY_VARIABLE)
        if directory is None:
            return generate_latest(self._registry)
        _bury_the_dead(Path(directory))
        registry = CollectorRegistry()
        _Collector(registry, path=directory)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def name_backend(self, backend: object, model: str, version: int) -> None:
        """Tell which model a backend runs, for the labels of what the batcher reports."""
        self._models[id(backend)] = (model, str(version))

    def write(self) -> None:
        """Write what was noted: the service is about to end, or somebody is about to read it."""
        self._tally.write()

    def request_answered(self, route: str, status: int, seconds: float, problem: str | None) -> None:
        """Record a request, so many seconds after it came, and the problem that it was answered with."""
        self._tally.note(self.requests[route, str(status)].inc, 1)
        self._tally.note(self.request_seconds[route,].observe, seconds)
        if problem is not None:
            self._tally.note(self.rejections[problem,].inc, 1)

    def rows_delivered(self, model: str, version: int, rows: int) -> None:
        """Record images, or vectors, that a client gets."""
        self._tally.note(self.images[model, str(version)].inc, rows)

    def answer_encoded(self, media_type: str, seconds: float) -> None:
        """Record how long the encoding of an answer took."""
        self._tally.note(self.encode_seconds[media_type,].observe, seconds)

    def run_ended(self, model: str, version: int, seconds: float) -> None:
        """Record how long a run of a model took."""
        self._tally.note(self.inference_seconds[model, str(version)].observe, seconds)

    def waiting_changed(self, backend: object, rows: int) -> None:
        """Record the batcher's queue (``batcher.Observer``)."""
        self._tally.note(self.queue_rows[self._models[id(backend)]].set, rows)

    def run_started(self, backend: object, rows: int) -> None:
        """Record a run (``batcher.Observer``)."""
        self._tally.note(self.batch_rows[self._models[id(backend)]].observe, rows)

    def job_started(self, backend: object, waited_s: float) -> None:
        """Record a job's wait (``batcher.Observer``)."""
        self._tally.note(self.queue_wait_seconds[self._models[id(backend)]].observe, waited_s)


class _Collector(MultiProcessCollector):
    """Passes by a file that a worker is just about to make: the library fails on one that is empty yet."""

    def collect(self) -> Any:  # noqa: ANN401 - the library's
        files = [str(path) for path in Path(self._path).glob("*.db") if _has_content(path)]
        return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:  # a dead worker's, buried meanwhile
        return False


def _bury_the_dead(directory: Path) -> None:
    """Remove the live gauges of workers that were killed: they would count for ever."""
    for path in directory.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            mark_process_dead(int(pid), str(directory))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
