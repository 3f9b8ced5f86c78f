"""Which rows a run takes off a line of jobs: in fair shares, or of one job after another."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batcher import Batcher
from service.jobs import Job
from service.runs import rows_of, taken
from service.shares import fair_shares, shares_in_turns
from tests.fakes.backends import FOREVER, RecordingBackend, RecordingObserver, load
from tests.fakes.virtual_time import run_virtually

WAITING = st.lists(st.integers(0, 100), max_size=20)


def line_of(*waiting: int) -> deque[Job[Any, Any]]:
    return deque(Job(None, rows, FOREVER, 0.0, None) for rows in waiting)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 100), max_size=20), st.integers(0, 64))
def test_shares_are_fair(waiting: list[int], limit: int) -> None:
    shares = fair_shares(waiting, limit)
    assert sum(shares) == min(limit, sum(waiting))
    assert all(0 <= share <= rows for share, rows in zip(shares, waiting, strict=True))
    unfilled = [share for share, rows in zip(shares, waiting, strict=True) if share < rows]
    # Whoever wanted more got at most one row less than anybody else.
    assert not unfilled or min(unfilled) >= max(shares) - 1


@given(WAITING, st.integers(0, 64))
def test_in_turns_nobody_gets_a_row_before_the_one_before_has_all(waiting: list[int], limit: int) -> None:
    shares = shares_in_turns(waiting, limit)
    assert sum(shares) == min(limit, sum(waiting))
    for place, share in enumerate(shares):
        assert 0 <= share <= waiting[place]
        assert share == 0 or shares[:place] == waiting[:place]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=10), st.integers(1, 40), st.booleans())
def test_every_row_is_taken_once_and_runs_are_full(waiting: list[int], most: int, in_turns: bool) -> None:  # noqa: FBT001 - drawn
    line = line_of(*waiting)
    jobs = list(line)
    runs = []
    while line:
        left = sum(job.waiting for job in line)
        batch = taken(line, list(line)[:most], most, in_turns=in_turns)
        assert rows_of(batch) == min(most, left)
        runs.append(batch)
    for job in jobs:
        parts = [part for batch in runs for one, part in batch if one is job]
        assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert parts[-1].stop == job.rows


@pytest.mark.parametrize(
    ("waiting", "runs"),
    [
        ([60, 60, 60], [[60, 4], [56, 8], [52]]),  # who only fills up a run keeps its place
        ([100, 100], [[64], [64], [36, 28], [8]]),  # and who had one goes to the end
        ([64, 10, 10], [[64], [10, 10]]),
    ],
)
def test_turns(waiting: list[int], runs: list[list[int]]) -> None:
    line = line_of(*waiting)
    for rows in runs:
        batch = taken(line, list(line), 64, in_turns=True)
        assert [part.rows for _, part in batch] == rows
    assert not line


def test_equal_jobs_for_many_are_done_in_the_order_in_which_they_came() -> None:
    async def story() -> list[float]:
        batcher, backend = Batcher(1, RecordingObserver()), RecordingBackend(max_batch=64, quantum=8)
        loop = asyncio.get_running_loop()

        async def ask() -> float:
            await batcher.submit(backend, load("job", 60), 60, FOREVER)
            return loop.time()

        done = await asyncio.gather(*(ask() for _ in range(16)))
        assert len(backend.runs) == 15, "no run has room that anybody waits for"
        return list(done)

    done = run_virtually(story())
    assert done == sorted(done)
    assert done[0] == pytest.approx(1.0)
    assert done[-1] == pytest.approx(15.0)
