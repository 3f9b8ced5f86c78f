"""The lines in which jobs wait for a backend."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from service.jobs import Backend, Job


class Queue:
    """The jobs with rows that wait for one backend: short ones and long ones."""

    def __init__(self, backend: Backend[Any, Any]) -> None:
        self.backend = backend
        self.short: deque[Job[Any, Any]] = deque()
        self.long: deque[Job[Any, Any]] = deque()
        self.rows = 0
        self.last_turn = 0
        self.last_was_short = False

    def line_of(self, job: Job[Any, Any]) -> deque[Job[Any, Any]]:
        """Return the line in which a job waits."""
        return self.long if job.is_long_for(self.backend) else self.short

    def lines(self) -> Iterable[deque[Job[Any, Any]]]:
        """Return both lines, the one whose turn it is first."""
        return (self.long, self.short) if self.last_was_short else (self.short, self.long)
