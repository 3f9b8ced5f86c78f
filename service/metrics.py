"""The service's metrics, for Prometheus. Labels are bounded: route templates, models, slugs.

What happens is noted in a :class:`~service.tally.Tally`, and written before this process renders it.
Under BentoML the values lie in files that all worker processes share (``PROMETHEUS_MULTIPROC_DIR``), and
what is rendered is their sum; without it they lie in this process.
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

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

    def forget(self, is_meant: Callable[[tuple[str, ...]], bool]) -> None:
        """Let go of what is kept by some labels; files that workers share keep it, unseen."""
        for labels in [labels for labels in list(self) if is_meant(labels)]:
            del self[labels]
            self._metric.remove(*labels)


# It is said of shared files, from which nothing can be removed.
warnings.filterwarnings("ignore", "Removal of labels", UserWarning)


class _OnlyShown(Collector):
    """What a collector has, without the models that are not served any more."""

    def __init__(self, inner: Collector, is_shown: Callable[[Mapping[str, str]], bool]) -> None:
        self._inner = inner
        self._is_shown = is_shown

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, each with fewer samples."""
        for metric in self._inner.collect():
            metric.samples = [sample for sample in metric.samples if self._is_shown(sample.labels)]
            yield metric


_process = [os.getpid()]
os.register_at_fork(after_in_child=lambda: _process.__setitem__(0, os.getpid()))


def forget_process(pid: int) -> None:
    """Remove the live gauges of a process that has ended: they would count for ever.

    For who sees a worker end, right then. Its counts stay, as they must.
    """
    directory = os.environ.get(_DIRECTORY_VARIABLE)
    if directory is not None:
        with suppress(FileNotFoundError):  # somebody else does the same
            mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


def forget_dead_processes() -> None:
    """Remove the live gauges of all processes that are no more."""
    for _, pid in _left_by_the_dead("gauge_live*"):
        forget_process(pid)


def _go_on_for_a_dead_process() -> None:
    """Take over the counts of a process that is no more, if there is one: its files would pile up."""
    for kind in ("counter", "histogram"):
        for path, _ in _left_by_the_dead(kind):
            own = path.with_name(f"{kind}_{os.getpid()}.db")
            if own.exists():  # it has begun to count, or goes on for one that had its id
                break
            with suppress(FileNotFoundError):  # somebody else goes on for that one
                path.rename(own)


def _left_by_the_dead(kind: str) -> Iterator[tuple[Path, int]]:
    """Yield the files of a kind that processes have left which are no more, and their ids."""
    for path in Path(os.environ.get(_DIRECTORY_VARIABLE, os.devnull)).glob(f"{kind}_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            yield path, int(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if _DIRECTORY_VARIABLE in os.environ:
    # A process that had this one's id before, as happens in containers, may have left gauges to go on with.
    forget_process(os.getpid())
    # The library asks the system for the process's id at every count, for the sake of forks.
    values.ValueClass = values.MultiProcessValue(lambda: _process[0])  # type: ignore[no-untyped-call]  # as it documents


class Metrics:
    """Every metric of the service, under names that clients may rely on."""

    def __init__(self) -> None:
        forget_dead_processes()
        _go_on_for_a_dead_process()
        self._registry = CollectorRegistry()
        self._models: dict[int, tuple[str, str]] = {}
        self._shown: dict[tuple[str, str], str] = {}
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
            return generate_latest(_OnlyShown(self._registry, self._is_shown))
        forget_dead_processes()
        registry = CollectorRegistry()
        _Collector(registry, path=directory)  # type: ignore[no-untyped-call]
        return generate_latest(_OnlyShown(registry, self._is_shown))

    def name_backend(self, backend: object, model: str, version: int, digest: str = "") -> None:
        """Tell which model a backend runs, for the labels of what the batcher reports; it is shown now."""
        self._models[id(backend)] = (model, str(version))
        weakref.finalize(backend, self._models.pop, id(backend), None).atexit = False
        self._shown[model, str(version)] = digest

    def forget_model(self, model: str, version: int) -> None:
        """Show a model no more: there is no end to the versions that were served once."""
        self._shown.pop((model, str(version)), None)
        # Also what late requests have counted of models that went before.
        for metric in (self.images, self.batch_rows, self.queue_rows, self.queue_wait_seconds,
                       self.inference_seconds, self.model_info):  # fmt: skip
            metric.forget(lambda labels: labels[:2] not in self._shown)

    def _is_shown(self, labels: Mapping[str, str]) -> bool:
        if "version" not in labels:
            return True
        digest = self._shown.get((labels["model"], labels["version"]))
        return digest is not None and labels.get("digest", digest) == digest

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
        """Record the batcher's queue (``runs.Observer``)."""
        self._tally.note(self.queue_rows[self._models[id(backend)]].set, rows)

    def run_started(self, backend: object, rows: int) -> None:
        """Record a run (``runs.Observer``)."""
        self._tally.note(self.batch_rows[self._models[id(backend)]].observe, rows)

    def job_started(self, backend: object, waited_s: float) -> None:
        """Record a job's wait (``runs.Observer``)."""
        self._tally.note(self.queue_wait_seconds[self._models[id(backend)]].observe, waited_s)


class _Collector(MultiProcessCollector):
    """Bears with files that come and go while it looks at them, on which the library fails."""

    def collect(self) -> Any:  # noqa: ANN401 - the library's
        while True:
            files = [str(path) for path in Path(self._path).glob("*.db") if _has_content(path)]
            # Else one has another name now: a new process goes on for a dead one.
            with suppress(FileNotFoundError):
                return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]


def _has_content(path: Path) -> bool:
    """Tell whether a file has any: one that a worker is just about to make is empty yet."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:  # a dead worker's, buried meanwhile
        return False
