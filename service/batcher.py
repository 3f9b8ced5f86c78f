"""Admission and micro-batching: rows of many requests, run together, each delivered to its owner.

The batcher knows no HTTP and no ML. A *job* is one request's rows for one backend; a *part* is a
contiguous range of a job's rows; a *run* is one call of a backend with parts of one or more jobs.

What it promises:

- At most ``backend.queue_limit`` rows wait for a backend; more are refused with ``QueueFull``.
- No run holds more than ``backend.max_batch`` rows; a larger job becomes several runs.
- Where more wait than run, those go first that can still be done in time.
- Nothing is started after its deadline, or after its caller was cancelled; a run under way is ended early
  once none of its callers remains.
- Rows are shared out fairly. A job of more rows than ``backend.quantum`` is *long*, others are short. Short
  and long jobs take turns; short ones get equal shares of a run, and long ones a run each in turns. While
  short jobs come, long ones leave a lane to them; if there is but one, a run of a long one is no more than
  the quantum: one row is never stuck behind many.
- A run that fails is repeated job by job, so that a fault harms only the job it belongs to.
- Runs are greedy: nothing waits for company, but what comes in the same turn of the event loop is taken
  together. What piles up while the lanes are busy is a batch.

Deadlines are times of the event loop's own monotonic clock, which may tick in milliseconds; durations are
measured with a stopwatch.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from service.company import Company
from service.errors import DeadlineExceeded, QueueFull, Unavailable
from service.home import Home
from service.jobs import Backend, Delivery, Job, Outcomes, PayloadT, ResultT, Watcher
from service.queues import Queue, Queues
from service.runs import Batch, Observer, Run, rows_of, taken

# For so long after a short job has come, another is reckoned with.
_EXPECTED_S = 0.25


class Batcher:
    """Queues of rows in front of backends, and ``lanes`` runs at a time."""

    def __init__(self, lanes: int, observer: Observer, stopwatch: Callable[[], float] | None = None) -> None:
        """Make ``lanes`` lanes; the ``stopwatch`` tells seconds, and is the loop's clock if there is none."""
        self._lanes = lanes
        self._home = Home()
        self._stopwatch = stopwatch or self._home.time
        self._observer = observer
        # What follows is changed under it: by the loop, and by a lane whose run has ended.
        self._lock = threading.RLock()
        self._queues = Queues()
        self._runs: set[Run] = set()
        self._busy_with_long = 0
        self._repeats: set[asyncio.Task[None]] = set()
        self._draining = False
        self._untold = 0
        self._freed: asyncio.Future[None] | None = None
        self._turn = 0
        self._short_until = 0.0
        self._all, self._short = Company(), Company()
        self._is_due = False  # whether runs are to be started before long

    def require_room(self, backend: Backend[Any, Any], rows: int) -> None:
        """Raise ``QueueFull`` if so many rows more may not wait for the backend."""
        with self._lock:
            waiting = self._queues[backend].rows
        if waiting + rows > backend.queue_limit:
            raise QueueFull(
                f"{waiting} rows are waiting for this model and at most {backend.queue_limit} may; "
                f"{rows} more do not fit."
            )

    async def submit(
        self,
        backend: Backend[PayloadT, ResultT],
        payload: PayloadT,
        rows: int,
        deadline: float,
        watcher: Watcher[ResultT] | None = None,
    ) -> Delivery[ResultT]:
        """Run the payload's rows and return their results in order.

        ``deadline`` is a time of the event loop's clock; a ``watcher`` is told on the way. Raises
        ``QueueFull``, ``Unavailable`` when draining, ``DeadlineExceeded``, or whatever fault the backend
        reports for these rows.
        Cancelling the caller drops the rows that have not been started.
        """
        assert rows > 0, "a job has at least one row"
        loop = self._home.enter()
        if self._draining:
            raise Unavailable("The service is stopping and takes no more work.")
        if deadline <= loop.time():
            raise DeadlineExceeded("The deadline passed before the request could be queued.")
        job: Job[PayloadT, ResultT] = Job(
            payload, rows, deadline, self._stopwatch(), loop.create_future(), watcher
        )
        queue = self._admit(backend, job)
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._start_due)  # others may have come with it, whose turn is next
        expiry = loop.call_at(deadline, _expire, job)
        try:
            delivery = await job.done
            self._start_due()  # what has come meanwhile must not wait until this answer is made
            return delivery
        finally:
            expiry.cancel()
            with self._lock:
                self._all.left_by_one()
                if not job.is_long_for(backend):
                    self._short.left_by_one()
                self._forget(queue, job)
                if self._queues.retired:
                    self._queues.let_go()

    def _admit(self, backend: Backend[Any, Any], job: Job[Any, Any]) -> Queue:
        """Let the job wait in its line, which is returned with its queue; raises ``QueueFull``."""
        now = self._home.time()
        with self._lock:
            self.require_room(backend, job.rows)
            queue = self._queues[backend]
            line = queue.line_of(job)
            line.append(job)
            self._count(queue, job.rows)
            self._all.joined_by(now)
            if line is queue.short:
                self._short.joined_by(now)
                self._short_until = now + _EXPECTED_S
            job.admit()
        return queue

    def retire(self, backend: Backend[PayloadT, ResultT]) -> None:
        """Let go of a backend once no job needs it. Any thread may say so."""
        with self._lock:
            self._queues.retire(backend)

    async def drain(self) -> None:
        """Refuse new jobs from now on, and return when all accepted ones are done."""
        self._draining = True
        await asyncio.sleep(0)  # until what has just come is taken up
        while self._runs or self._untold:
            self._freed = asyncio.get_running_loop().create_future()
            await self._freed

    def _count(self, queue: Queue, change: int) -> None:
        queue.rows += change
        self._observer.waiting_changed(queue.backend, queue.rows)

    def _forget(self, queue: Queue, job: Job[Any, Any]) -> None:
        """Drop the rows of a job that was answered, failed, expired or abandoned before all were started."""
        if not job.done.cancel() and not job.done.cancelled():
            job.done.exception()  # marks it as seen: the caller may have been cancelled meanwhile
        if job.waiting:
            queue.line_of(job).remove(job)
            self._count(queue, -job.waiting)
            job.next_row = job.rows
        if job.runs_under_way:
            for run in list(self._runs):
                if run.is_for_nobody:
                    run.end_early()

    def _start_due(self) -> None:
        if self._is_due:
            self._is_due = False
            self._pump()

    def _pump(self) -> None:
        """Start runs while lanes are idle and rows wait."""
        while (run := self._next_run()) is not None:
            is_single = run.batch[0][0].rows == 1
            now = self._home.time()
            # Without the lock: it may take its time, and be over when this returns.
            run.end_early = run.queue.backend.run(
                [part for _, part in run.batch],
                partial(self._end, run),
                alone=is_single and self._all.is_of_one(now),
                at_once=is_single and self._short.is_of_one(now) and self._home.is_here,
            )
            if run.has_ended:  # and what comes next has been seen to
                return
            if run.is_for_nobody:  # since it was taken up
                run.end_early()

    def _next_run(self) -> Run | None:
        """Take up a run of the backend that has waited longest, if a lane is idle and rows wait."""
        with self._lock:
            if len(self._runs) == self._lanes:
                return None
            waiting = [queue for queue in self._queues.values() if queue.rows]
            for queue in sorted(waiting, key=attrgetter("last_turn")):
                batch = self._next_batch(queue)
                if batch:
                    self._turn += 1
                    queue.last_turn = self._turn
                    return self._begun(queue, batch)
        return None

    def _next_batch(self, queue: Queue) -> Batch:
        """Take the rows of the next run off the queue."""
        now = self._home.time()
        idle_lanes = self._lanes - len(self._runs)
        for line in queue.lines():
            if not line:
                continue
            most = min(queue.backend.max_batch, -(-queue.rows // idle_lanes))
            jobs = most
            if line is queue.long and now < self._short_until:
                if self._lanes == 1:
                    most, jobs = min(most, queue.backend.quantum), 1
                elif self._busy_with_long == self._lanes - 1:
                    continue
            # Crumbs for everybody cost more than they help: each part is put together, and told of.
            batch = taken(line, queue.candidates(line, jobs, now), most, in_turns=line is queue.long)
            if batch:
                queue.last_was_short = line is queue.short
                self._count(queue, -rows_of(batch))
                return batch
        return []

    def _begun(self, queue: Queue, batch: Batch) -> Run:
        now = self._stopwatch()
        run = Run(queue, batch, now)
        self._runs.add(run)
        self._busy_with_long += run.is_long
        self._observer.run_started(queue.backend, run.rows)
        for job, _ in batch:
            job.begin(now)
            job.batch_rows = max(job.batch_rows, run.rows)
            if job.started is None:
                job.started = now
                self._observer.job_started(queue.backend, now - job.admitted)
        return run

    def _end(self, run: Run, outcomes: Outcomes[Any]) -> None:
        """Take in what came of a run, on any thread: its lane goes on, and the loop tells callers."""
        if isinstance(outcomes, Exception) and len(run.batch) > 1:
            self._home.call(self._start_repeat, run)
            return
        with self._lock:
            self._untold += 1  # before it is no run any more: a drain waits for both
            self._free(run, has_failed=isinstance(outcomes, Exception))
        if self._home.is_here:
            self._pump()
            self._tell(run, outcomes)
        else:  # the loop takes a moment to wake up
            self._home.call(self._tell, run, outcomes)
            self._pump()

    def _free(self, run: Run, *, has_failed: bool) -> None:
        now = self._stopwatch()
        self._runs.remove(run)
        run.has_ended = True
        self._busy_with_long -= run.is_long
        if not has_failed:
            run.queue.run_took(now - run.begun)
        for job, _ in run.batch:
            job.run_ended(now)

    def _tell(self, run: Run, outcomes: Outcomes[Any]) -> None:
        of_each = [outcomes] if isinstance(outcomes, Exception) else outcomes
        for (job, part), outcome in zip(run.batch, of_each, strict=True):
            job.settle(part, outcome)
        with self._lock:
            self._untold -= 1
        if self._freed is not None and not self._freed.done():
            self._freed.set_result(None)

    def _start_repeat(self, run: Run) -> None:
        repeat = self._home.loop.create_task(self._repeat(run))
        self._repeats.add(repeat)
        repeat.add_done_callback(self._repeats.discard)

    async def _repeat(self, run: Run) -> None:
        """Run each job's part of a failed run alone, so that the fault stays with its owner."""
        loop = self._home.loop
        outcomes: list[Any] = []
        for job, part in run.batch:
            if not job.alive(loop.time()):
                outcomes.append(DeadlineExceeded("The deadline passed before all rows were run."))
                continue
            done: asyncio.Future[Outcomes[Any]] = loop.create_future()
            run.under_way = [job]
            run.end_early = run.queue.backend.run(
                [part], partial(self._home.call, done.set_result), alone=False, at_once=False
            )
            outcome = await done
            outcomes.append(outcome if isinstance(outcome, Exception) else outcome[0])
        self._end(run, outcomes)


def _expire(job: Job[Any, Any]) -> None:
    if not job.done.done():
        job.done.set_exception(DeadlineExceeded("The deadline passed before all rows were run."))
