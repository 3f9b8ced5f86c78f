"""A crowd of clients queues and leaves at once: what they asked for is not computed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.serving.client import Client
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SLOW, counts, server, total
from tests.fakes.server import ROOT

_LANES, _MOST_ROWS = 2, 8
_PATIENCE_S = 30.0
_RUNS_MEANWHILE = 3
"""A run takes some 50 ms, and to read from a thousand sockets that they are closed takes as long."""


@dataclass(frozen=True)
class Effort:
    """How many clients wait when all of them leave."""

    queued: int


FULL = Effort(1000)
SHORT = Effort(200)


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Let a process of many clients queue, and kill it: the system closes all their connections at once."""
    clients = round(effort.queued * 1.5)  # some have their row before the last has asked
    with server(folder, (SLOW,), max_batch=_MOST_ROWS, threads=_LANES) as running:
        async with Client(running.port) as watcher:
            with _crowd(running.port, clients) as crowd:
                try:
                    waiting = await _queued(watcher, effort.queued, clients)
                    before = await total(watcher, "forger_batch_rows_sum")
                finally:
                    crowd.kill()
            left_at = time.monotonic()
            while await total(watcher, "forger_queue_rows") > 0:
                assert time.monotonic() - left_at < _PATIENCE_S, "the queue never emptied"
            empty_s = time.monotonic() - left_at
            await asyncio.sleep(0.5)
            after = await total(watcher, "forger_batch_rows_sum")
            left = (await counts(watcher, "forger_requests_total")).get(("/generate", "499"), 0.0)
    return _finding(effort, clients, waiting, before, after, empty_s, left)


def _crowd(port: int, clients: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.serving.crowd", str(port), str(clients)], cwd=ROOT
    )


async def _queued(watcher: Client, wanted: int, clients: int) -> float:
    """Wait until all have asked, and return how many wait; fails if enough never do."""
    begun = time.monotonic()
    while time.monotonic() - begun < _PATIENCE_S:
        waiting = await total(watcher, "forger_queue_rows")
        if waiting >= wanted and waiting + await total(watcher, "forger_batch_rows_sum") >= clients:
            return waiting
    raise AssertionError(f"the queue never filled: {waiting} of {wanted} wait")


def _finding(
    effort: Effort, clients: int, waiting: float, before: float, after: float, empty_s: float, left: float
) -> Finding:
    figures = {
        "clients": clients,
        "rows waiting as they leave": int(waiting),
        "rows begun afterwards": int(after - before),
        "queue empty after ms": round(1000 * empty_s),
        "departures counted": int(left),
    }
    laws = {
        "enough were queued": waiting >= effort.queued,
        f"at most {_RUNS_MEANWHILE} runs a lane begin before all have been seen to leave": (
            after - before <= _RUNS_MEANWHILE * _LANES * _MOST_ROWS
        ),
        "every departure is counted": left >= effort.queued - _LANES * _MOST_ROWS,
    }
    return Finding("cancellation", figures, laws)
