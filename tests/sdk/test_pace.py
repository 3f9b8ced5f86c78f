"""How many requests are under way: one more after a round that went well, half after a refusal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import AsyncClient, Misuse, Retries
from forger.bulk.pace import Pace
from tests.fakes.transport import ORIGIN, model_document, npy


@given(st.integers(1, 200), st.lists(st.booleans(), max_size=400))
def test_the_limit_stays_between_one_and_the_most(most: int, went: list[bool]) -> None:
    pace = Pace(most)
    for well in went:
        if well:
            pace.went_well()
        else:
            pace.was_refused(pace.round)
        assert 1 <= pace.limit <= most


def test_a_round_that_went_well_adds_one() -> None:
    """As many answers as there were requests under way make room for one more, not for as many again."""
    pace = Pace(100, first=10)
    for _ in range(11):
        pace.went_well()
    assert pace.limit == 11


def test_a_refusal_halves() -> None:
    pace = Pace(100, first=40)
    pace.was_refused(pace.round)
    assert pace.limit == 20


def test_refusals_of_one_round_count_once() -> None:
    pace = Pace(100, first=40)
    sent_in = pace.round
    for _ in range(10):
        pace.was_refused(sent_in)
    assert pace.limit == 20
    pace.was_refused(pace.round)
    assert pace.limit == 10


@given(st.integers(2, 64), st.integers(1, 1000))
def test_it_settles_around_what_the_service_bears(most: int, bears: int) -> None:
    """Against a service that refuses whatever is beyond ``bears``, the limit ends at half of that or more."""
    pace = Pace(most)
    lows = []
    for turn in range(400):
        if pace.limit > bears:
            pace.was_refused(pace.round)
        else:
            for _ in range(pace.limit):
                pace.went_well()
        if turn > 200:
            lows.append(pace.limit)
    assert min(lows) >= min(most, max(1, bears // 2))


def test_nothing_at_once_is_refused() -> None:
    with pytest.raises(Misuse, match="concurrency"):
        Pace(0)


def test_a_bulk_run_learns_what_its_service_bears(tmp_path: Path) -> None:
    """A service that bears four requests at once is asked for hardly more; one that bears all gets all."""

    def run(bears: int) -> tuple[int, int]:
        under_way, most, refusals = 0, 0, 0

        async def answer(request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most, refusals
            if request.method == "GET":
                return httpx.Response(200, json={"data": [model_document()]})
            if under_way >= bears:
                refusals += 1
                document = {"type": "/problems/queue-full", "status": 429}
                headers = {"content-type": "application/problem+json", "retry-after": "0"}
                return httpx.Response(429, json=document, headers=headers)
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            rows = npy(np.zeros((json.loads(request.content)["n"], 2, 2, 1), np.uint8))
            return httpx.Response(200, headers={**ORIGIN, "content-type": "application/x-npy"}, content=rows)

        async def draw() -> None:
            retries = Retries(attempts=1000, first_s=0.001, longest_s=0.002)
            async with AsyncClient(transport=httpx.MockTransport(answer), retries=retries) as client:
                sink = f"npz:{tmp_path}/{bears}.npz"
                assert (await client.bulk(20_000, sink=sink, seed=0, concurrency=12)).is_complete

        asyncio.run(draw())
        return most, refusals

    requests = 20_000 / 64
    most, refusals = run(4)
    assert most == 4
    assert 1 <= refusals < requests / 2
    most, refusals = run(100)
    assert (most, refusals) == (12, 0)
