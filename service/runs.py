"""One run of the batcher's: which rows of which jobs it is of, how it ends early, and who is told of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from service.jobs import Job, Part
from service.queues import Queue
from service.shares import fair_shares, shares_in_turns

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


def taken(line: deque[Job[Any, Any]], jobs: list[Job[Any, Any]], most: int, *, in_turns: bool) -> Batch:
    """Take up to so many rows off a line's jobs: of all alike, or of one after another where they take turns.

    A job with rows left goes to the line's end; one that has only filled up a run before its own turn stays
    at the head.
    """
    share_out = shares_in_turns if in_turns else fair_shares
    shares = share_out([job.waiting for job in jobs], most)
    batch = [(job, job.take(share)) for job, share in zip(jobs, shares, strict=True) if share]
    for job, _ in batch:
        line.remove(job)
    unfinished = [job for job, _ in batch if job.waiting]
    if in_turns and len(batch) > 1:
        line.extendleft(unfinished)  # the last one, if any
    else:
        line.extend(unfinished)
    return batch
