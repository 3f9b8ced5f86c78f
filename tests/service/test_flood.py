"""Floods: refusals that are many go out at a pace, and nobody else is behind them."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.gate import Gate
from tests.fakes.keys import bearer
from tests.fakes.site import LocalService, local_service

KEY = "a-key-of-the-environment"


@pytest.fixture
def guarded(models_dir: Path) -> Iterator[LocalService]:
    with local_service(models_dir, default_model="grey", api_keys=KEY) as site:
        yield site


@given(st.lists(st.integers(0, 300_000_000), min_size=1, max_size=200))
def test_refusals_go_out_at_a_pace_however_fast_they_are_provoked(pauses_ns: list[int]) -> None:
    """Some ten at once, then ten a second; and nobody who comes now and then waits at all."""
    now = [0]
    gate = Gate(keyring=_Off(), clock=lambda: now[0])  # type: ignore[arg-type]
    slugs = itertools.cycle(["unauthorized", "forbidden", "rate-limited"])
    sent, most_held = [], 0.0
    for pause, slug in zip(pauses_ns, slugs, strict=False):
        now[0] += pause
        held = gate.hold_s(slug)
        assert 0.0 <= held <= 4.0
        assert held < 4.0 or len(sent) >= 40  # so many wait already that the pace is given up
        sent.append(now[0] / 1e9 + held)
        most_held = max(most_held, held)
    assert sent == sorted(sent)
    for place, begin in enumerate(sent if most_held < 4.0 else []):
        for count, end in enumerate(sent[place:], start=1):
            assert count <= 11 + 10 * (end - begin) + 1e-6
    now[0] += 10**10
    assert [gate.hold_s("forbidden") for _ in range(10)] == [0.0] * 10


def test_each_connection_of_a_flood_waits_its_turn() -> None:
    """Forty connections that ask again as soon as they are answered are answered ten times a second."""
    now = [0]
    gate = Gate(keyring=_Off(), clock=lambda: now[0])  # type: ignore[arg-type]
    ready, answered = [0] * 40, 0
    while True:
        ready.sort()
        now[0] = ready[0]
        if now[0] > 10 * 10**9:
            break
        ready[0] += round(gate.hold_s("rate-limited") * 1e9)
        answered += 1
    assert 100 <= answered - 40 <= 115


class _Off:
    is_on = False


@pytest.mark.parametrize("slug", [None, "queue-full", "invalid-input", "unavailable", "unexpected"])
def test_no_other_answer_is_ever_held(slug: str | None) -> None:
    gate = Gate(keyring=_Off(), clock=lambda: 0)  # type: ignore[arg-type]
    assert {gate.hold_s(slug) for _ in range(1000)} == {0.0}


def test_a_held_answer_is_the_same_answer(guarded: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, held = guarded.edge._site.gate, []

    def hold_s(slug: str | None) -> float:
        held.append(Gate.hold_s(gate, slug))
        return held[-1] / 100

    with monkeypatch.context() as flooded:
        flooded.setattr(gate, "_clock", lambda: 10**16)
        flooded.setattr(gate, "hold_s", hold_s)
        answers = [guarded.get("/models") for _ in range(40)]
    assert held[0] == 0.0
    assert held[-1] > 0.3
    assert {answer.status_code for answer in answers} == {401}
    assert len({json.dumps({**answer.json(), "request_id": ""}) for answer in answers}) == 1


def test_a_held_answer_counts_as_quick_and_other_answers_are_not_behind_it(
    guarded: LocalService,
) -> None:
    """Latencies in the metrics are those of the service, whatever a flood makes it do on purpose."""

    async def flood() -> list[str]:
        order: list[str] = []

        async def ask(name: str, headers: dict[str, str]) -> None:
            await guarded._request("GET", "/models", {"headers": headers})
            order.append(name)

        refused = [asyncio.ensure_future(ask("refused", {})) for _ in range(100)]
        await asyncio.sleep(0)
        await ask("served", bearer(KEY))
        await asyncio.gather(*refused)
        return order

    order = guarded.run(flood())
    text = guarded.get("/metrics", headers=bearer(KEY)).text
    assert order[-1] == "refused"
    assert 'forger_requests_total{route="/models",status="401"} 100.0' in text
    total = re.search(r'forger_request_seconds_sum{route="/models"} (\S+)', text)
    assert total is not None
    assert float(total[1]) < sum(min(4.0, 0.1 * place) for place in range(1, 100 - 11)) / 2
