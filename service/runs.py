"""One run of the batcher's: which rows of which jobs it is of, how it ends early, and who is told of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Protocol

from service.fair_shares import fair_shares
from service.jobs import Job, Part
from service.queues import Queue

Batch = list[tuple[Job[Any, Any], Part[Any]]]


class Observer(Protocol):
    """Who is told what happens, for metrics."""

    def waiting_changed(self, backend: Any, rows: int) -> None:  # noqa: ANN401 - any backend
        """``rows`` rows wait for the backend now."""

    def run_started(self, backend: Any, rows: int) -> None:  # noqa: ANN401 - any backend
        """A run of ``rows`` rows begins."""

    def job_started(self, backend: Any, waited_s: float) -> None:  # noqa: ANN401 - any backend
        """A job's first rows begin, after having waited."""


class Run:
    """One call of a backend: the parts that it is of, and the way to end it early."""

    def __init__(self, queue: Queue, batch: Batch, begun: float) -> None:
        self.queue = queue
        self.batch = batch
        self.begun = begun
        self.rows = rows_of(batch)
        self.has_ended = False
        self.is_long = batch[0][0].is_long_for(queue.backend)
        self.under_way = [job for job, _ in batch]
        self.end_early: Callable[[], None] = lambda: None  # until it is begun

    @property
    def is_for_nobody(self) -> bool:
        """Whether no caller waits for what is under way."""
        return all(job.done.done() for job in self.under_way)


def rows_of(batch: Batch) -> int:
    """Return how many rows a batch holds."""
    return sum([part.rows for _, part in batch])


def taken(line: deque[Job[Any, Any]], jobs: list[Job[Any, Any]], most: int, least: int) -> Batch:
    """Take so many rows off a line's first jobs, in fair shares; jobs with rows left go to its end.

    Each gets ``least`` rows, or all that it waits for; those for whom nothing is left have another turn.
    """
    batch = []
    waiting = [job.rows - job.next_row for job in jobs]
    portions = accumulate(min(rows, least) for rows in waiting)
    fed = next((count for count, rows in enumerate(portions, 1) if rows >= most), len(jobs))
    jobs, waiting = jobs[:fed], waiting[:fed]
    shares = waiting if sum(waiting) <= most else fair_shares(waiting, most)
    for job, share in zip(jobs, shares, strict=True):
        if share == 0:
            continue
        batch.append((job, job.take(share)))
        line.remove(job)
        if job.waiting:
            line.append(job)
    return batch
