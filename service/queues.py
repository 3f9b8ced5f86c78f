"""What waits in front of each backend, for as long as the backend is served or anybody waits for it."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from service.jobs import Backend, Job

# Runs take now longer, now shorter.
_MARGIN = 1.25


class Queue:
    """The jobs with rows that wait for one backend: short ones and long ones."""

    def __init__(self, backend: Backend[Any, Any]) -> None:
        self.backend = backend
        self.short: deque[Job[Any, Any]] = deque()
        self.long: deque[Job[Any, Any]] = deque()
        self.rows = 0
        self.last_turn = 0
        self.last_was_short = False
        self.run_s = 0.0
        """How long a run takes, of late."""

    def run_took(self, seconds: float) -> None:
        """Take in how long a run took."""
        self.run_s += (seconds - self.run_s) / 8

    def candidates(self, line: deque[Job[Any, Any]], most: int, now: float) -> list[Job[Any, Any]]:
        """Return up to so many jobs of a line whose time is not up, first come, first served.

        Where more wait than run, those go first that can still be done in time: behind a queue as long as the
        deadline, who has waited longest would otherwise be begun with no time left, one and all.
        """
        living = [job for job in islice(line, most) if job.alive(now)]
        if len(line) <= most and len(living) == len(line):
            return living
        soon = now + _MARGIN * self.run_s
        in_time = list(islice((job for job in line if job.alive(soon)), most))
        if len(in_time) == most:
            return in_time
        late = (job for job in line if job.alive(now) and not job.alive(soon))
        return in_time + list(islice(late, most - len(in_time)))

    def line_of(self, job: Job[Any, Any]) -> deque[Job[Any, Any]]:
        """Return the line in which a job waits."""
        return self.long if job.is_long_for(self.backend) else self.short

    def lines(self) -> Iterable[deque[Job[Any, Any]]]:
        """Return both lines, the one whose turn it is first."""
        return (self.long, self.short) if self.last_was_short else (self.short, self.long)


class Queues(dict[Backend[Any, Any], Queue]):
    """The queues by backend.

    A queue keeps its backend, and with it a model: one that is retired must go, also if a late job makes it
    again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.retired: list[weakref.ref[Backend[Any, Any]]] = []
        """Backends that are not served any more, as long as there are any."""

    def __missing__(self, backend: Backend[Any, Any]) -> Queue:
        queue = self[backend] = Queue(backend)
        return queue

    def retire(self, backend: Backend[Any, Any]) -> None:
        """Keep a backend no longer than jobs for it come and wait."""
        self.retired.append(weakref.ref(backend))
        self.let_go()

    def let_go(self) -> None:
        """Drop the queues of retired backends, unless rows wait in them."""
        for known in list(self.retired):
            backend = known()
            if backend is None:
                self.retired.remove(known)
            elif backend in self and not self[backend].rows:
                del self[backend]
