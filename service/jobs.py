"""One request's rows on their way through the batcher: the job, its parts, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
ResultT_contra = TypeVar("ResultT_contra", contravariant=True)


@dataclass(frozen=True)
class Part(Generic[PayloadT]):
    """So many ``rows`` of a job's payload, from ``start`` on."""

    payload: PayloadT
    start: int
    rows: int

    @property
    def stop(self) -> int:
        """The first row after the part."""
        return self.start + self.rows


Outcomes = Sequence[ResultT | Exception] | Exception
"""What came of a run: each part's result, or the fault that is that part's own; or why the run failed."""


class Backend(Protocol[PayloadT, ResultT_co]):
    """What runs rows. Hashable by identity; one for each model."""

    @property
    def max_batch(self) -> int:
        """The most rows of one run."""

    @property
    def quantum(self) -> int:
        """The most rows of a run that keeps nobody waiting for long."""

    @property
    def queue_limit(self) -> int:
        """The most rows that may wait."""

    def run(
        self,
        parts: Sequence[Part[PayloadT]],
        done: Callable[[Outcomes[ResultT_co]], None],
        *,
        alone: bool,
        at_once: bool,
    ) -> Callable[[], None]:
        """Start a run; call ``done`` once, on any thread, with what came of it. Never raises.

        What is returned ends the run early, if it can: nobody waits for it any more. ``done`` is called all
        the same. Once the run is over it does nothing.

        A run that is ``alone`` may use the whole machine: nobody else has been there for a while. One that is
        to be ``at_once`` may keep the thread that calls this, the event loop's, for some milliseconds, as no
        other but long jobs have been there; ``done`` is then called before this returns. A thread that calls
        it from where it has run is given its next run by that very call: it waits for no turn of a busy loop.
        """


class Watcher(Protocol[ResultT_contra]):
    """Who is told of a job on its way, part by part; an answer that is sent as it is made needs that."""

    def admitted(self) -> None:
        """The job waits in the queue from now on."""

    def part_done(self, start: int, result: ResultT_contra) -> None:
        """The rows from ``start`` on are there, as many as the result holds."""


@dataclass(frozen=True)
class Delivery(Generic[ResultT]):
    """A job's results in the order of its rows, and how they came about."""

    results: list[ResultT]
    queue_s: float  # until the job's first run
    run_s: float  # while at least one of its runs was under way, without the waits between them
    batch_rows: int


class Job(Generic[PayloadT, ResultT]):
    """One request's rows on their way; ``next_row`` is the first that has not been started."""

    def __init__(
        self,
        payload: PayloadT,
        rows: int,
        deadline: float,
        admitted: float,
        done: asyncio.Future[Delivery[ResultT]],
        watcher: Watcher[ResultT] | None = None,
    ) -> None:
        self.payload = payload
        self.rows = rows
        self.deadline = deadline
        self.admitted = admitted
        self.started: float | None = None
        self.next_row = 0
        self.batch_rows = 0
        self.done = done
        self._watcher = watcher
        self._results: dict[int, ResultT] = {}
        self._rows_done = 0
        self.runs_under_way = 0
        self._under_way_since = self._run_s = 0.0

    def admit(self) -> None:
        """Say that it waits in the queue from now on."""
        if self._watcher is not None:
            self._watcher.admitted()

    @property
    def waiting(self) -> int:
        """How many rows have not been started."""
        return self.rows - self.next_row

    def is_long_for(self, backend: Backend[Any, Any]) -> bool:
        """Tell whether the job has more rows than keep nobody waiting for long."""
        return self.rows > backend.quantum

    def alive(self, now: float) -> bool:
        """Tell whether anybody still waits for it, and its time is not up."""
        return not self.done.done() and now < self.deadline

    def take(self, rows: int) -> Part[PayloadT]:
        """Take the next rows off, to be run."""
        part = Part(self.payload, self.next_row, rows)
        self.next_row += rows
        return part

    def begin(self, now: float) -> None:
        """Note that a run with a part of the job begins."""
        if self.runs_under_way == 0:
            self._under_way_since = now
        self.runs_under_way += 1

    def run_ended(self, now: float) -> None:
        """Note that a run with a part of the job has ended."""
        self.runs_under_way -= 1
        if self.runs_under_way == 0:
            self._run_s += now - self._under_way_since

    def settle(self, part: Part[PayloadT], outcome: ResultT | Exception) -> None:
        """Take in the outcome of a part, whose run has ended; the last one completes the job."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
            return
        self._results[part.start] = outcome
        if self._watcher is not None:
            self._watcher.part_done(part.start, outcome)
        self._rows_done += part.rows
        if self._rows_done == self.rows:
            assert self.started is not None
            in_order = [self._results[start] for start in sorted(self._results)]
            waited_s = self.started - self.admitted
            self.done.set_result(Delivery(in_order, waited_s, self._run_s, self.batch_rows))
