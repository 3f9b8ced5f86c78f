"""The wall clock jumps an hour forth and back under load: nothing changes but the dates that are told."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from tests.chaos.serving.arrivals import Until, at_rate
from tests.chaos.serving.client import Client, Reply, Shot
from tests.chaos.serving.figures import milliseconds, seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SHIPPED, SLOW, draw, learnt, server, total
from tests.fakes.models import write_models

_INJECTED = Path(__file__).with_name("injected") / "clock"
_STEPS_S = (0.0, 3600.0, 0.0, -3600.0)
_HASTE_MS = 40
_COUNTERS = (
    "forger_requests_total",
    "forger_images_total",
    "forger_request_seconds_sum",
    "forger_batch_rows_sum",
)


@dataclass(frozen=True)
class Effort:
    """How often the clock is stepped, how far apart, and how late an answer may be past its deadline.

    That may be generous: a deadline by the wall clock would be off by an hour.
    """

    rounds: int
    seconds: float
    grace_ms: float
    per_second: float = 30.0


FULL = Effort(5, 5.0, 1000.0)
SHORT = Effort(1, 1.2, 2000.0)


@dataclass(frozen=True)
class Phase:
    """What happened between two steps of the clock."""

    shift_s: float
    told_s: float
    """How far from ours the service's own date was."""
    replies: list[Reply]
    counters: list[list[float]]


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Send the same mixture of requests in every phase: small ones, and some that cannot be done in time."""
    clock = folder / "clock"
    models = _prepared(folder, clock)
    surroundings = {"PYTHONPATH": str(_INJECTED), "SIEGE_CLOCK": str(clock)}
    phases = []
    with server(folder / "server", models, surroundings) as running:
        async with Client(running.port) as client:
            known = await learnt(client, [draw("mnist", seed, 1 + seed % 4) for seed in range(12)])
            for step in _STEPS_S * effort.rounds:
                _set(clock, step)
                phases.append(await _phase(client, effort, known, step))
    return _finding(effort, phases)


def _prepared(folder: Path, clock: Path) -> Path:
    """Set the clock right, and return a directory of a model that is quick and one that is not."""
    models = write_models(folder / "models", (SLOW,))
    (models / "mnist").symlink_to(SHIPPED / "mnist")
    clock.write_bytes(bytes(8))
    return models


def _set(clock: Path, shift_s: float) -> None:
    """Write in place: the service has the file mapped."""
    with clock.open("r+b") as file:
        file.write(struct.pack("<d", shift_s))


async def _phase(client: Client, effort: Effort, known: list[Shot], step: float) -> Phase:
    counters = [await _counters(client)]
    load = asyncio.create_task(at_rate(client, _mixed(known), effort.per_second, Until(effort.seconds)))
    reply = await client.send(Shot.post("/generate", {"model": "mnist", "seed": 1}))
    told_s = json.loads(reply.content)["created"] - time.time()
    while not load.done():
        await asyncio.sleep(0.25)
        counters.append(await _counters(client))
    return Phase(step, told_s, await load, counters)


async def _counters(client: Client) -> list[float]:
    return [await total(client, name) for name in _COUNTERS]


def _mixed(known: list[Shot]) -> Iterator[Shot]:
    hasty = draw("slow", 1, 64, {"X-Timeout-Ms": str(_HASTE_MS)})
    while True:
        for number, shot in enumerate(known):
            yield replace(hasty, kind="hasty") if number % 6 == 5 else shot


def _finding(effort: Effort, phases: list[Phase]) -> Finding:
    stepped = [one for phase in phases if phase.shift_s for one in phase.replies]
    still = [one for phase in phases if not phase.shift_s for one in phase.replies]
    hasty = [one for one in [*stepped, *still] if one.shot.kind == "hasty"]
    calm_p99, stepped_p99 = (milliseconds(_patient(some), 0.99) or 0.0 for some in (still, stepped))
    counters = [row for phase in phases for row in phase.counters]
    worst_hasty = milliseconds(hasty, 1.0) or 0.0
    figures = {
        "steps": len(phases) - 1,
        "requests": len(stepped) + len(still),
        "answers while shifted": seen(stepped),
        "answers else": seen(still),
        "p99 ms while shifted": stepped_p99,
        "p99 ms else": calm_p99,
        "worst answer to a deadline of 40 ms": worst_hasty,
    }
    laws = {
        "the service sees the steps": all(abs(phase.told_s - phase.shift_s) < 60 for phase in phases),
        "every patient request is answered": all(one.status == 200 for one in _patient([*stepped, *still])),
        "every image right": all(one.is_right for one in _patient([*stepped, *still])),
        "deadlines are kept": {one.status for one in hasty} == {504}
        and worst_hasty < _HASTE_MS + effort.grace_ms,
        "latencies are the same": stepped_p99 <= 3 * calm_p99 + 100,
        "counters never run back": all(
            before <= after for one, other in pairwise(counters)
            for before, after in zip(one, other, strict=True)
        ),
    }  # fmt: skip
    return Finding("clock", figures, laws)


def _patient(replies: list[Reply]) -> list[Reply]:
    return [one for one in replies if one.shot.kind != "hasty"]
