"""The batcher: every row once to its owner in order, within every limit, whatever else happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batcher import Batcher
from service.errors import DeadlineExceeded, QueueFull, Unavailable
from service.jobs import Delivery, Part
from tests.fakes.backends import FOREVER, Crash, Load, RecordingBackend, RecordingObserver, Spoilt, load
from tests.fakes.virtual_time import run_virtually


def flat(delivery: Delivery[list[object]]) -> list[object]:
    return [row for part in delivery.results for row in part]


@dataclass(frozen=True)
class Arrival:
    """A job of the property test: when it comes, what it is, and when its caller loses patience."""

    at: float
    rows: int
    backend: int
    patience: float
    leaves_after: float | None
    crashes: bool
    spoilt: bool


arrivals = st.builds(
    Arrival,
    at=st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.5, 7.0]),
    rows=st.integers(1, 13),
    backend=st.integers(0, 1),
    patience=st.sampled_from([0.25, 1.5, 3.0, 1000.0, 1000.0]),
    leaves_after=st.sampled_from([None, None, None, 0.1, 1.2]),
    crashes=st.sampled_from([False, False, False, True]),
    spoilt=st.sampled_from([False, False, False, True]),
)


def check_outcome(outcome: object, ended: float, job: Arrival, payload: Load, runs: list[int]) -> None:
    """Each outcome is the one that this job's own traits call for; ``runs`` tells how often each row ran."""
    match outcome:
        case list():
            assert outcome == list(payload.rows)
            assert not job.crashes
            assert not job.spoilt
            assert ended <= payload.deadline
            # A row is run a second time only because a run it shared has failed.
            assert set(runs) <= {1, 2}
        case Crash():
            assert job.crashes
        case Spoilt():
            assert job.spoilt
        case DeadlineExceeded():
            assert ended == pytest.approx(payload.deadline)
        case TimeoutError():
            assert job.leaves_after is not None
        case QueueFull():
            assert set(runs) == {0}
        case _:
            pytest.fail(f"unexpected outcome {outcome!r}")


@settings(max_examples=150, deadline=None)
@given(
    jobs=st.lists(arrivals, min_size=1, max_size=12),
    lanes=st.integers(1, 3),
    max_batch=st.integers(1, 6),
    queue_limit=st.integers(5, 40),
    quantum=st.integers(1, 7),
)
def test_every_law_holds_for_any_traffic(
    jobs: list[Arrival], lanes: int, max_batch: int, queue_limit: int, quantum: int
) -> None:
    observer = RecordingObserver()
    backends = [RecordingBackend(max_batch, queue_limit, quantum) for _ in range(2)]
    loads = [
        Load(
            tuple((number, row) for row in range(job.rows)),
            deadline=job.at + job.patience,
            crashes=job.crashes,
            spoilt=job.spoilt,
        )
        for number, job in enumerate(jobs)
    ]

    async def act(batcher: Batcher, job: Arrival, payload: Load) -> tuple[object, float]:
        await asyncio.sleep(job.at)
        work = batcher.submit(backends[job.backend], payload, job.rows, payload.deadline)
        try:
            if job.leaves_after is None:
                outcome: object = flat(await work)
            else:
                outcome = flat(await asyncio.wait_for(work, job.leaves_after))
        except Exception as error:  # noqa: BLE001 - whatever comes is judged below
            outcome = error
        return outcome, asyncio.get_running_loop().time()

    async def play() -> list[tuple[object, float]]:
        batcher = Batcher(lanes, observer)
        outcomes = await asyncio.gather(
            *(act(batcher, job, payload) for job, payload in zip(jobs, loads, strict=True))
        )
        await batcher.drain()
        return outcomes

    outcomes = run_virtually(play())

    times_run = Counter(
        part.payload.rows[row]
        for backend in backends
        for run in backend.runs
        for part in run.parts
        for row in range(part.start, part.stop)
    )
    any_crashes = any(job.crashes for job in jobs)
    for (outcome, ended), job, payload in zip(outcomes, jobs, loads, strict=True):
        runs = [times_run[row] for row in payload.rows]
        check_outcome(outcome, ended, job, payload, runs)
        if isinstance(outcome, list) and not any_crashes:
            assert set(runs) == {1}
    for backend in backends:
        assert all(1 <= run.rows <= max_batch for run in backend.runs)
        assert all(run.at < part.payload.deadline for run in backend.runs for part in run.parts)
    for levels in observer.waiting.values():
        assert all(0 <= level <= queue_limit for level in levels)
        assert levels[-1] == 0
    assert sum(backend.most_running for backend in backends) <= 2 * lanes
    assert all(backend.most_running <= lanes for backend in backends)


def test_rows_of_different_requests_share_a_run() -> None:
    """Those that wait for the lane, and those that come together while it is idle."""
    backend, observer = RecordingBackend(max_batch=8), RecordingObserver()

    async def play() -> list[Delivery[list[object]]]:
        batcher = Batcher(1, observer)

        async def ask(name: str, at: float) -> Delivery[list[object]]:
            await asyncio.sleep(at)
            return await batcher.submit(backend, load(name, 2), 2, FOREVER)

        busy, waiting, together = ("busy",), ("a", "b", "c"), ("d", "e")
        times = dict.fromkeys(busy, 0.0) | dict.fromkeys(waiting, 0.5) | dict.fromkeys(together, 5.0)
        return await asyncio.gather(*(ask(name, at) for name, at in times.items()))

    deliveries = run_virtually(play())
    assert [run.rows for run in backend.runs] == [2, 6, 4]
    assert [delivery.batch_rows for delivery in deliveries] == [2, 6, 6, 6, 4, 4]
    assert observer.runs == [2, 6, 4]


def test_a_large_request_is_split_and_put_together_in_order() -> None:
    backend = RecordingBackend(max_batch=4)
    payload = load("large", 11)

    async def play() -> Delivery[list[object]]:
        return await Batcher(1, RecordingObserver()).submit(backend, payload, 11, FOREVER)

    delivery = run_virtually(play())
    assert [run.rows for run in backend.runs] == [4, 4, 3]
    assert flat(delivery) == list(payload.rows)
    assert (delivery.queue_s, delivery.run_s) == (0.0, 3.0)


def test_the_time_in_runs_leaves_the_waits_between_them_out() -> None:
    """Two models take turns on one lane; runs side by side on two lanes count once."""
    one, other = RecordingBackend(max_batch=2), RecordingBackend(max_batch=2)

    async def play(lanes: int) -> list[Delivery[list[object]]]:
        batcher = Batcher(lanes, RecordingObserver())
        jobs = [batcher.submit(backend, load("job", 6), 6, FOREVER) for backend in (one, other)]
        return await asyncio.gather(*jobs)

    assert [(job.queue_s, job.run_s) for job in run_virtually(play(1))] == [(0.0, 3.0), (1.0, 3.0)]
    assert [job.run_s for job in run_virtually(play(12))] == [1.0, 1.0]


def test_a_full_queue_refuses_and_says_how_full_it_is() -> None:
    backend = RecordingBackend(max_batch=1, queue_limit=3)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        first = asyncio.ensure_future(batcher.submit(backend, load("a", 3), 3, FOREVER))
        await asyncio.sleep(0.1)
        with pytest.raises(QueueFull, match="2 rows are waiting for this model and at most 3 may; 2 more"):
            await batcher.submit(backend, load("b", 2), 2, FOREVER)
        fits = await batcher.submit(backend, load("c", 1), 1, FOREVER)
        assert flat(fits) == [("c", 0)]
        await first

    run_virtually(play())


def test_rows_of_a_client_that_left_are_never_run() -> None:
    backend = RecordingBackend(max_batch=4)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        busy = asyncio.ensure_future(batcher.submit(backend, load("busy", 4), 4, FOREVER))
        await asyncio.sleep(0.1)
        leaver = asyncio.ensure_future(batcher.submit(backend, load("leaver", 4), 4, FOREVER))
        stayer = asyncio.ensure_future(batcher.submit(backend, load("stayer", 4), 4, FOREVER))
        await asyncio.sleep(0.5)
        leaver.cancel()
        await asyncio.gather(busy, stayer)

    run_virtually(play())
    names = {name for run in backend.runs for part in run.parts for name, _ in part.payload.rows}
    assert names == {"busy", "stayer"}
    assert len(backend.runs) == 2


def test_work_that_expires_in_the_queue_is_never_started() -> None:
    backend = RecordingBackend(max_batch=1, seconds=10.0)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        busy = asyncio.ensure_future(batcher.submit(backend, load("busy", 1), 1, FOREVER))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(backend, load("late", 1), 1, 5.0)
        assert asyncio.get_running_loop().time() == 5.0
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(backend, load("already late", 1), 1, 5.0)
        await busy

    run_virtually(play())
    assert len(backend.runs) == 1


def test_work_that_expired_while_the_loop_was_blocked_is_not_started_either() -> None:
    """The clock is past the deadline before the timer of it could fire."""

    class Blocking(RecordingBackend):
        async def draw(self, parts: Sequence[Part[Load]], **how: bool) -> Sequence[list[object] | Exception]:
            results = await super().draw(parts, **how)
            asyncio.get_running_loop().block(10.0)
            return results

    backend = Blocking(max_batch=1)

    async def play() -> list[object]:
        batcher = Batcher(1, RecordingObserver())
        return await asyncio.gather(
            batcher.submit(backend, load("busy", 1), 1, FOREVER),
            batcher.submit(backend, load("late", 1), 1, 5.0),
            return_exceptions=True,
        )

    _, late = run_virtually(play())
    assert isinstance(late, DeadlineExceeded)
    assert len(backend.runs) == 1


def test_a_run_that_nobody_waits_for_is_ended_early() -> None:
    """Its callers left, or their time was up; the lane is free at once for who is still there."""
    backend = RecordingBackend(max_batch=2, seconds=10.0)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(1, RecordingObserver())
        left = asyncio.ensure_future(batcher.submit(backend, load("left", 1), 1, FOREVER))
        await asyncio.sleep(1.0)
        late = asyncio.ensure_future(batcher.submit(backend, load("late", 1), 1, 4.0))
        next_one = asyncio.ensure_future(batcher.submit(backend, load("next", 1), 1, FOREVER))
        await asyncio.sleep(1.0)
        left.cancel()
        await asyncio.sleep(0.5)
        assert backend.ended_early == 1
        assert [run.at for run in backend.runs] == [0.0, 2.0]
        with pytest.raises(DeadlineExceeded):
            await late
        assert backend.ended_early == 1, "somebody else waits for this run"
        assert flat(await next_one) == [("next", 0)]
        assert loop.time() == 12.0

    run_virtually(play())


def test_a_run_of_several_jobs_ends_early_with_the_last_of_them() -> None:
    backend = RecordingBackend(max_batch=8, seconds=10.0)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        busy = asyncio.ensure_future(batcher.submit(backend, load("busy", 1), 1, 0.5))
        await asyncio.sleep(0.1)
        both = [
            asyncio.ensure_future(batcher.submit(backend, load(name, 2), 2, deadline))
            for name, deadline in (("first", 3.0), ("second", 5.0))
        ]
        for job in (busy, *both):
            with pytest.raises(DeadlineExceeded):
                await job
        await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == 5.0
        assert backend.ended_early == 2
        assert [run.at for run in backend.runs] == [0.0, 0.5], "what was ended is not repeated"
        await asyncio.sleep(0.1)
        assert backend.running == 0
        await batcher.drain()

    run_virtually(play())


def test_a_repeated_run_ends_early_too() -> None:
    backend = RecordingBackend(max_batch=8, seconds=10.0)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        jobs = [
            asyncio.ensure_future(batcher.submit(backend, load(name, 1, crashes=name == "bad"), 1, deadline))
            for name, deadline in (("busy", FOREVER), ("good", 25.0), ("bad", FOREVER))
        ]
        with pytest.raises(DeadlineExceeded):
            await jobs[1]
        await asyncio.sleep(0)
        assert backend.ended_early == 1
        with pytest.raises(Crash):
            await jobs[2]
        assert asyncio.get_running_loop().time() == 35.0

    run_virtually(play())


def test_a_failed_run_harms_only_the_request_that_fails_it() -> None:
    backend = RecordingBackend(max_batch=8)

    async def play() -> list[object]:
        batcher = Batcher(1, RecordingObserver())
        return await asyncio.gather(
            batcher.submit(backend, load("busy", 1), 1, FOREVER),
            batcher.submit(backend, load("good", 2), 2, FOREVER),
            batcher.submit(backend, load("bad", 2, crashes=True), 2, FOREVER),
            batcher.submit(backend, load("spoilt", 1, spoilt=True), 1, FOREVER),
            return_exceptions=True,
        )

    _, good, bad, spoilt = run_virtually(play())
    assert flat(good) == [("good", 0), ("good", 1)]
    assert isinstance(bad, Crash)
    assert isinstance(spoilt, Spoilt)


def test_draining_finishes_what_came_in_the_very_same_turn() -> None:
    backend = RecordingBackend()

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        accepted = asyncio.ensure_future(batcher.submit(backend, load("accepted", 2), 2, FOREVER))
        await asyncio.sleep(0)
        assert not backend.runs, "it is taken up in the next turn"
        await batcher.drain()
        assert len(backend.runs) == 1
        assert flat(await accepted) == [("accepted", 0), ("accepted", 1)]

    run_virtually(play())


def test_draining_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    backend = RecordingBackend(max_batch=1)

    async def play() -> None:
        batcher = Batcher(1, RecordingObserver())
        accepted = asyncio.ensure_future(batcher.submit(backend, load("accepted", 3), 3, FOREVER))
        await asyncio.sleep(0)
        drained = asyncio.ensure_future(batcher.drain())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await batcher.submit(backend, load("late", 1), 1, FOREVER)
        assert not drained.done()
        await drained
        assert accepted.done()
        assert flat(await accepted) == [("accepted", 0), ("accepted", 1), ("accepted", 2)]

    run_virtually(play())
