"""Ten times what the service can do arrives: it does what it can, and refuses the rest at once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.serving.machine import cpu_s
from tests.chaos.serving.arrivals import Until, at_rate, in_turns, over_and_over, rows_a_second
from tests.chaos.serving.client import Client, Reply, Shot
from tests.chaos.serving.figures import milliseconds, seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SHIPPED, SLOW, draw, learnt, server
from tests.chaos.serving.vitals import Chart, charted
from tests.fakes.models import FakeModel
from tests.fakes.server import ServerProcess


@dataclass(frozen=True)
class Effort:
    """How much is sent, to what, and how well it must be borne."""

    models: Path | Sequence[FakeModel]
    model: str
    rows: int
    seconds: float
    filled_s: float
    """After so long the queue is full, and memory must be what it will be."""
    peak_clients: tuple[int, ...]
    peak_seconds: float
    settings: Mapping[str, object]
    refused_ms: float
    least_goodput: float
    most_growth: float
    times: float = 10.0


@dataclass(frozen=True)
class Spell:
    """A span of a load: what came of it, and what the service's processes took for each row."""

    replies: list[Reply]
    seconds: float
    rows_a_second: float
    cpu_ms_a_row: float


FULL = Effort(SHIPPED, "mnist", 64, 120.0, 6.0, (4, 8, 16), 8.0, {}, 50.0, 0.9, 0.02)
# A queue of two seconds, as with a queue of one a whole request hardly ever fits in.
SHORT = Effort((SLOW,), "slow", 16, 5.0, 1.0, (4,), 1.5, {"queue_rows": 384}, 5000.0, 0.25, 0.2)


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Measure the peak with a closed loop, let ten times as much arrive in an open one, measure it again.

    The machine may have other work, more or less of it, so that the peak is of before and after.
    """
    with server(folder, effort.models, **effort.settings) as running:
        async with Client(running.port) as client:
            shots = await learnt(client, [draw(effort.model, seed, effort.rows) for seed in range(12)])
            clients = await _best_clients(client, shots, effort)
            peaks = [await _calm(running, client, shots, clients, effort)]
            async with charted(running.process.pid, 0.5) as chart:
                storm = await _storm(running, client, shots, effort, peaks[0].rows_a_second)
            # What is still in the queue is answered by now.
            peaks.append(await _calm(running, client, shots, clients, effort))
    return _finding(effort, peaks, storm, chart)


async def _best_clients(client: Client, shots: Sequence[Shot], effort: Effort) -> int:
    """Return how many clients get the most; what they got is luck in part, and is measured anew."""
    tried = {
        some: await rows_a_second(client, shots, some, effort.peak_seconds) for some in effort.peak_clients
    }
    return max(tried, key=tried.__getitem__)


async def _calm(
    running: ServerProcess, client: Client, shots: Sequence[Shot], clients: int, effort: Effort
) -> Spell:
    """Let so many clients ask, each again when it has its answer."""

    async def ask() -> list[Reply]:
        replies: list[Reply] = []
        await in_turns(client, over_and_over(shots), clients, Until(effort.peak_seconds), replies.append)
        return replies

    spell = await _spell(running, ask())
    assert spell.rows_a_second > 0, "the service draws nothing even in calm"
    return spell


async def _storm(
    running: ServerProcess, client: Client, shots: Sequence[Shot], effort: Effort, peak: float
) -> Spell:
    """Ask for so many times the peak.

    The spell lasts until the last has its answer: those who wait are served in fair shares, and are done
    together.
    """
    rate = effort.times * peak / effort.rows
    return await _spell(running, at_rate(client, over_and_over(shots), rate, Until(effort.seconds)))


async def _spell(running: ServerProcess, load: Awaitable[list[Reply]]) -> Spell:
    begun, worked = time.monotonic(), cpu_s([running.process.pid])
    replies = await load
    seconds = time.monotonic() - begun
    worked = cpu_s([running.process.pid]) - worked
    rows = sum(one.shot.rows for one in replies if one.status == 200)
    return Spell(replies, seconds, rows / seconds, 1000 * worked / max(1, rows))


def _finding(effort: Effort, peaks: Sequence[Spell], storm: Spell, chart: Chart) -> Finding:
    refused = [one for one in storm.replies if one.status == 429]
    statuses = seen(storm.replies)
    refused_ms = milliseconds(refused, 0.99) or 0.0
    peak = fmean(spell.rows_a_second for spell in peaks)
    growth = chart.after(effort.filled_s).memory_growth()
    figures = {
        "requests": len(storm.replies),
        "rows a request": effort.rows,
        "offered/capacity": effort.times,
        "answers": statuses,
        "peak rows/s before and after": [round(spell.rows_a_second) for spell in peaks],
        "goodput rows/s": round(storm.rows_a_second),
        "goodput/peak": round(storm.rows_a_second / peak, 3),
        "CPU ms a row at the peak": round(fmean(spell.cpu_ms_a_row for spell in peaks), 3),
        "CPU ms a row under overload": round(storm.cpu_ms_a_row, 3),
        "429 p50 ms": milliseconds(refused, 0.5),
        "429 p99 ms": refused_ms,
        "memory growth": round(growth, 4),
    }
    laws = {
        "only 200 and 429": set(statuses) == {"200", "429"},
        "every 429 says Retry-After": all((one.retry_after or b"").isdigit() for one in refused),
        f"429 within {effort.refused_ms:g} ms (p99)": refused_ms < effort.refused_ms,
        f"goodput at least {effort.least_goodput:.0%} of the peak": (
            storm.rows_a_second >= effort.least_goodput * peak
        ),
        f"memory grows less than {effort.most_growth:.0%}": growth < effort.most_growth,
        "every image right": all(one.is_right for one in storm.replies if one.status == 200),
    }
    return Finding("overload", figures, laws)
