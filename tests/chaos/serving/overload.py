"""Ten times what the service can do arrives: it does what it can, and refuses the rest at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.serving.arrivals import Until, at_rate, over_and_over, rows_a_second
from tests.chaos.serving.client import Client, Reply
from tests.chaos.serving.figures import goodput, milliseconds, seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SHIPPED, SLOW, draw, learnt, server
from tests.chaos.serving.vitals import Chart, charted
from tests.fakes.models import FakeModel


@dataclass(frozen=True)
class Effort:
    """How much is sent, to what, and how well it must be borne."""

    models: Path | Sequence[FakeModel]
    model: str
    rows: int
    seconds: float
    peak_clients: tuple[int, ...]
    peak_seconds: float
    settings: Mapping[str, object]
    refused_ms: float
    least_goodput: float
    most_growth: float
    times: float = 10.0


FULL = Effort(SHIPPED, "mnist", 64, 120.0, (4, 8, 16), 5.0, {}, 50.0, 0.9, 0.02)
# A queue of two seconds, as with a queue of one a whole request hardly ever fits in.
SHORT = Effort((SLOW,), "slow", 16, 5.0, (4,), 2.5, {"queue_rows": 384}, 1000.0, 0.5, 0.2)


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Measure the peak with a closed loop, then let ten times as much arrive in an open one."""
    with server(folder, effort.models, **effort.settings) as running:
        async with Client(running.port) as client:
            shots = await learnt(client, [draw(effort.model, seed, effort.rows) for seed in range(12)])
            peak = max(
                [
                    await rows_a_second(client, shots, some, effort.peak_seconds)
                    for some in effort.peak_clients
                ]
            )
            rate = effort.times * peak / effort.rows
            async with charted(running.process.pid, 0.5) as chart:
                begun = time.monotonic()
                replies = await at_rate(client, over_and_over(shots), rate, Until(effort.seconds))
    return _finding(effort, replies, peak, goodput(replies, begun, effort.seconds), chart)


def _finding(effort: Effort, replies: list[Reply], peak: float, good: float, chart: Chart) -> Finding:
    refused = [one for one in replies if one.status == 429]
    statuses = seen(replies)
    refused_ms = milliseconds(refused, 0.99)
    # The first seconds fill the queue and the buffers.
    growth = chart.after(effort.seconds / 4).memory_growth()
    figures: dict[str, Any] = {
        "requests": len(replies),
        "rows a request": effort.rows,
        "offered/capacity": effort.times,
        "answers": statuses,
        "peak rows/s": round(peak),
        "goodput rows/s": round(good),
        "goodput/peak": round(good / peak, 3),
        "429 p50 ms": milliseconds(refused, 0.5),
        "429 p99 ms": refused_ms,
        "memory growth": round(growth, 4),
    }
    laws = {
        "only 200 and 429": set(statuses) == {"200", "429"},
        "every 429 says Retry-After": all((one.retry_after or b"").isdigit() for one in refused),
        f"429 within {effort.refused_ms:g} ms (p99)": (refused_ms or 0) < effort.refused_ms,
        f"goodput at least {effort.least_goodput:.0%} of the peak": good >= effort.least_goodput * peak,
        f"memory grows less than {effort.most_growth:.0%}": growth < effort.most_growth,
        "every image right": all(one.is_right for one in replies if one.status == 200),
    }
    return Finding("overload", figures, laws)
