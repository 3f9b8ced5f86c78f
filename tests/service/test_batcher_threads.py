"""The batcher over lanes that are threads, whose runs end there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

from service.batcher import Batcher
from service.engine import Lanes
from service.jobs import Part
from tests.fakes.backends import FOREVER, Load, RecordingBackend, RecordingObserver, load


class Threaded(RecordingBackend):
    """Runs on lanes, each for half a millisecond, and remembers how many and on which threads."""

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(queue_limit=10**6, quantum=3)
        self.lanes = lanes
        self.threads: set[int] = set()
        self.done = 0

    def run(self, parts: Any, done: Any, **_how: bool) -> Any:
        self.lanes.run(lambda outcomes, _: done(outcomes), self.answer, parts)
        return lambda: None

    def answer(self, parts: Sequence[Part[Load]]) -> list[list[object]]:
        time.sleep(0.0005)
        self.threads.add(threading.get_ident())
        self.done += 1
        return [list(part.payload.rows[part.start : part.stop]) for part in parts]


def test_lanes_on_threads_of_their_own_take_their_next_runs_themselves() -> None:
    """Runs end on threads while jobs come and leave: each row once, to its owner, and all lanes free."""

    async def ask(batcher: Batcher, backend: Threaded, number: int) -> bool:
        await asyncio.sleep(number % 7 * 0.001)
        payload, patience = load(str(number), 1 + number % 9), 0.0 if number % 11 == 0 else 30.0
        work = batcher.submit(backend, payload, len(payload.rows), asyncio.get_running_loop().time() + 30)
        try:
            delivery = await asyncio.wait_for(work, patience)
        except TimeoutError:
            return patience == 0
        return [row for part in delivery.results for row in part] == list(payload.rows)

    async def play(backend: Threaded) -> list[bool]:
        batcher = Batcher(2, RecordingObserver(), time.perf_counter)
        answers = await asyncio.gather(*(ask(batcher, backend, number) for number in range(600)))
        await batcher.drain()
        return answers

    with contextlib.closing(Lanes(2)) as lanes:
        backend = Threaded(lanes)
        assert all(asyncio.run(asyncio.wait_for(play(backend), 30)))
    assert len(backend.threads) == 2


def test_lanes_go_on_while_a_row_is_drawn_on_the_event_loop() -> None:
    """Somebody's long job takes run after run, and is not kept waiting by a row that is drawn at once."""
    meanwhile: list[int] = []

    class Patient(Threaded):
        def run(self, parts: Any, done: Any, *, alone: bool, at_once: bool) -> Any:
            if not at_once:
                return super().run(parts, done)
            before, end = self.done, time.monotonic() + 10
            while self.done < before + 20 and time.monotonic() < end:
                time.sleep(0.001)
            meanwhile.append(self.done - before)
            done([list(part.payload.rows) for part in parts])
            return lambda: None

    async def play(backend: Patient) -> None:
        batcher = Batcher(2, RecordingObserver(), time.perf_counter)
        long = asyncio.create_task(batcher.submit(backend, load("long", 10**5), 10**5, FOREVER))
        await asyncio.sleep(0.12)
        for _ in range(10):  # a lane may come first and take one
            await batcher.submit(backend, load("single", 1), 1, FOREVER)
        long.cancel()
        await batcher.drain()

    with contextlib.closing(Lanes(2)) as lanes:
        asyncio.run(asyncio.wait_for(play(Patient(lanes)), 30))
    assert meanwhile
    assert min(meanwhile) >= 20
