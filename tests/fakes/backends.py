"""A backend for the batcher whose payload is a list of rows, and which remembers everything it ran."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.jobs import Outcomes, Part

FOREVER = 1e9


class Crash(Exception):
    """The whole run failed."""


class Spoilt(Exception):
    """One part's own fault."""


@dataclass(frozen=True)
class Load:
    """A job's payload: ``crashes`` fails every run that it is in, ``spoilt`` only its own part."""

    rows: tuple[object, ...]
    deadline: float = float("inf")
    crashes: bool = False
    spoilt: bool = False


def load(name: str, rows: int, **traits: object) -> Load:
    return Load(tuple((name, row) for row in range(rows)), **traits)


@dataclass(frozen=True)
class Run:
    """One call of a backend."""

    at: float
    parts: tuple[Part[Load], ...]
    alone: bool
    at_once: bool

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


@dataclass(eq=False)
class RecordingBackend:
    """Answers each row with itself, after ``seconds``."""

    max_batch: int = 4
    queue_limit: int = 1000
    quantum: int = 1000
    seconds: float = 1.0
    runs: list[Run] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    ended_early: int = 0

    def run(
        self,
        parts: Sequence[Part[Load]],
        done: Callable[[Outcomes[list[object]]], None],
        *,
        alone: bool,
        at_once: bool,
    ) -> Callable[[], None]:
        task = asyncio.get_running_loop().create_task(self.draw(parts, alone=alone, at_once=at_once))

        def ended(_: object) -> None:
            if task.cancelled():
                self.ended_early += 1
                done(Crash("ended early"))
                return
            error = task.exception()
            assert error is None or isinstance(error, Crash), error
            done(task.result() if error is None else error)

        task.add_done_callback(ended)
        return task.cancel

    async def draw(
        self, parts: Sequence[Part[Load]], *, alone: bool, at_once: bool
    ) -> Sequence[list[object] | Exception]:
        self.runs.append(Run(asyncio.get_running_loop().time(), tuple(parts), alone, at_once))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        if any(part.payload.crashes for part in parts):
            raise Crash
        return [
            Spoilt() if part.payload.spoilt else list(part.payload.rows[part.start : part.stop])
            for part in parts
        ]


@dataclass
class RecordingObserver:
    """Remembers what the batcher reports."""

    waiting: dict[int, list[int]] = field(default_factory=dict)
    runs: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def waiting_changed(self, backend: object, rows: int) -> None:
        self.waiting.setdefault(id(backend), []).append(rows)

    def run_started(self, backend: object, rows: int) -> None:
        self.runs.append(rows)

    def job_started(self, backend: object, waited_s: float) -> None:
        self.waits.append(waited_s)
