"""Who runs when: rows are shared out over lanes, models and requests, and nobody is stuck behind many."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from service.batcher import Batcher
from service.errors import DeadlineExceeded, QueueFull
from service.jobs import Part
from tests.fakes.backends import FOREVER, Load, RecordingBackend, RecordingObserver, load
from tests.fakes.virtual_time import run_virtually


def test_a_large_request_is_spread_over_idle_lanes() -> None:
    backend = RecordingBackend(max_batch=32)

    async def play() -> None:
        await Batcher(2, RecordingObserver()).submit(backend, load("one", 20), 20, FOREVER)

    run_virtually(play())
    assert [(run.at, run.rows) for run in backend.runs] == [(0.0, 10), (0.0, 10)]


def test_one_row_is_not_stuck_behind_many() -> None:
    """A single row that comes while 64 rows are at work is in the very next run."""
    backend = RecordingBackend(max_batch=8)

    async def play() -> float:
        batcher = Batcher(1, RecordingObserver())
        crowd = asyncio.gather(
            *(batcher.submit(backend, load(f"crowd{i}", 64), 64, FOREVER) for i in range(3))
        )
        await asyncio.sleep(0.5)
        await batcher.submit(backend, load("single", 1), 1, FOREVER)
        served_at = asyncio.get_running_loop().time()
        await crowd
        return served_at

    assert run_virtually(play()) == 2.0


def test_long_jobs_have_runs_of_their_own_by_turns_and_what_is_left_of_one_is_filled_up() -> None:
    backend = RecordingBackend(max_batch=8, quantum=2)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        await asyncio.gather(
            *(batcher.submit(backend, load(name, rows), rows, FOREVER) for name, rows in JOBS.items())
        )

    run_virtually(play())
    assert [[(part.payload.rows[0][0], part.rows) for part in run.parts] for run in backend.runs] == [
        [("a", 8)],
        [("b", 8)],
        [("c", 8)],
        [("a", 3), ("b", 5)],  # "b" fills it up, and its turn is still to come
        [("b", 3), ("c", 2)],
    ]


JOBS = {"a": 11, "b": 16, "c": 10}


@pytest.mark.parametrize(("lanes", "longest"), [(1, 0.02 + 0.01), (2, 0.01), (3, 0.01)])
def test_a_short_job_waits_for_a_short_run_of_a_long_one_at_most(lanes: int, longest: float) -> None:
    """Once short jobs come, long ones leave them a lane; on the only one they run two rows at a time."""

    class Slow(RecordingBackend):
        async def draw(self, parts: Sequence[Part[Load]], **how: bool) -> Sequence[list[object] | Exception]:
            self.seconds = float(sum(part.rows for part in parts)) * 0.01
            return await super().draw(parts, **how)

    backend = Slow(max_batch=32, quantum=2)
    waits: list[float] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(lanes, RecordingObserver())
        crowd = asyncio.gather(
            *(batcher.submit(backend, load(f"crowd{i}", 64), 64, FOREVER) for i in range(4))
        )
        for number in range(30):
            begun = loop.time()
            await batcher.submit(backend, load(f"single{number}", 1), 1, FOREVER)
            waits.append(loop.time() - begun)
        await crowd

    run_virtually(play())
    assert max(waits[1:]) <= longest + 1e-9
    assert max(run.rows for run in backend.runs if run.at > sum(waits)) > 2, "alone, runs are large again"


def test_long_jobs_get_every_other_run_whatever_comes() -> None:
    backend = RecordingBackend(max_batch=8, quantum=2)

    async def play() -> float:
        batcher = Batcher(1, RecordingObserver())
        begun = asyncio.get_running_loop().time()

        async def client(name: str) -> None:
            for _ in range(40):
                await batcher.submit(backend, load(name, 1), 1, FOREVER)

        clients = [asyncio.ensure_future(client(f"client{number}")) for number in range(8)]
        await batcher.submit(backend, load("long", 20), 20, FOREVER)
        ended = asyncio.get_running_loop().time()
        await asyncio.gather(*clients)
        return ended - begun

    assert run_virtually(play()) <= 2 * (20 / 2) + 2


def test_a_run_is_alone_if_there_is_no_other_job_and_has_been_none_for_a_while() -> None:
    backend = RecordingBackend(seconds=0.01)

    async def play() -> None:
        batcher = Batcher(2, RecordingObserver())

        async def single(pause: float) -> None:
            await asyncio.sleep(pause)
            await batcher.submit(backend, load("single", 1), 1, FOREVER)

        await single(1.0)
        await single(0.0)
        await asyncio.gather(single(0.0), single(0.0))
        await single(0.05)
        await single(0.2)
        await batcher.submit(backend, load("two rows", 2), 2, FOREVER)

    run_virtually(play())
    assert [run.alone for run in backend.runs] == [True, True, False, False, False, True, False, False]
    assert [run.at_once for run in backend.runs] == [run.alone for run in backend.runs]


def test_a_row_is_drawn_at_once_beside_long_jobs_alone() -> None:
    """It need not wait for a thread to wake up while others are busy; two such rows go to the lanes."""
    backend = RecordingBackend(max_batch=4, quantum=2, seconds=0.01)

    async def play() -> None:
        batcher = Batcher(2, RecordingObserver())
        await asyncio.sleep(1.0)
        long = asyncio.create_task(batcher.submit(backend, load("long", 200), 200, FOREVER))
        for _ in range(3):
            await asyncio.sleep(0.05)
            await batcher.submit(backend, load("single", 1), 1, FOREVER)
        await asyncio.gather(*[batcher.submit(backend, load("pair", 1), 1, FOREVER) for _ in range(2)])
        await long

    run_virtually(play())
    told = {
        name: [(run.alone, run.at_once) for run in backend.runs if run.parts[0].payload.rows[0][0] == name]
        for name in ("long", "single", "pair")
    }
    assert told["single"] == [(False, True)] * 3
    assert set(told["pair"]) == set(told["long"]) == {(False, False)}


def test_busy_models_take_turns() -> None:
    """One model's long queue does not keep another model waiting."""
    busy, other = RecordingBackend(max_batch=2), RecordingBackend(max_batch=2)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        await asyncio.gather(
            batcher.submit(busy, load("busy", 10), 10, FOREVER),
            batcher.submit(other, load("other", 2), 2, FOREVER),
        )

    run_virtually(play())
    assert [run.at for run in other.runs] == [1.0]


def test_under_too_much_load_what_is_begun_is_mostly_done_in_time() -> None:
    """Three times what can be done, for a minute: who can no longer be done in time does not go first."""
    backend = RecordingBackend(max_batch=4, seconds=0.05)
    done = 0

    async def play() -> None:
        nonlocal done
        loop = asyncio.get_running_loop()
        batcher = Batcher(1, RecordingObserver())

        async def ask(number: int) -> None:
            nonlocal done
            with contextlib.suppress(DeadlineExceeded, QueueFull):
                await batcher.submit(backend, load(f"{number}", 1), 1, loop.time() + 0.2)
                done += 1

        asked = []
        for number in range(60 * 240):
            asked.append(asyncio.ensure_future(ask(number)))
            await asyncio.sleep(1 / 240)
        await asyncio.gather(*asked)

    run_virtually(play())
    begun = sum(run.rows for run in backend.runs)
    assert begun > 60 * 70
    assert done > 0.9 * begun


def test_who_can_hardly_be_done_in_time_is_tried_where_nobody_else_waits() -> None:
    backend = RecordingBackend(max_batch=4, seconds=1.0)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(1, RecordingObserver())
        for _ in range(30):
            await batcher.submit(backend, load("usual", 1), 1, FOREVER)
        backend.seconds = 0.01
        await batcher.submit(backend, load("hasty", 1), 1, loop.time() + 0.02)

    run_virtually(play())
