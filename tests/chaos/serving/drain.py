"""The service is told to stop while it works, again and again: nobody who asked in time goes unanswered."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.serving.arrivals import Until, at_rate
from tests.chaos.serving.client import Client, Outcome, Reply, Shot
from tests.chaos.serving.figures import seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SHIPPED, draw, learnt, server
from tests.fakes.server import ServerProcess

_PROBE_EVERY_S = 0.01
_NOT_READY_WITHIN_S = 0.1
_LOST = {Outcome.RESET, Outcome.CLOSED, Outcome.LATE}
"""Sent on a connection that was open, and never answered. What is refused is not lost: nothing was sent."""


@dataclass(frozen=True)
class Effort:
    """How often the service is stopped, under how many requests a second, and how long it may take."""

    rounds: int
    per_second: float = 40.0
    grace_s: float = 30.0
    not_ready_within_s: float = _NOT_READY_WITHIN_S


FULL = Effort(100)
SHORT = Effort(3, not_ready_within_s=1.0)


@dataclass(frozen=True)
class Stop:
    """One stop: what came of the requests around it, and how the service ended."""

    replies: list[Reply]
    probes: list[Reply]
    told: float
    exit_code: int | None
    exit_s: float

    @property
    def lost(self) -> list[Reply]:
        """Requests that were sent and never answered."""
        return [one for one in self.replies if one.outcome in _LOST]

    @property
    def not_ready_after_s(self) -> float:
        """When ``/readyz`` last said 200, after the signal."""
        return max((one.begun - self.told for one in self.probes if one.status == 200), default=0.0)

    def probes_while_draining(self, told_s: float) -> list[Reply]:
        """What ``/readyz`` said from so long after the signal on, as long as the service lived."""
        first, last = self.told + told_s, self.told + self.exit_s
        return [one for one in self.probes if first < one.begun < last]


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Start the service, send it requests of every length on kept and fresh connections, stop it, count."""
    chance = random.Random(7)
    stops: list[Stop] = []
    shots: list[Shot] = []
    for number in range(effort.rounds):
        with server(folder / str(number), SHIPPED) as running:
            if not shots:
                async with Client(running.port) as client:
                    shots = await learnt(client, _works())
            stops.append(await _stopped(running, effort, shots, chance))
    return _finding(effort, stops)


def _works() -> list[Shot]:
    """Short ones and long ones; in a second, some of each are under way."""
    few = [draw("mnist", seed, 1) for seed in range(8)]
    return [
        *few,
        draw("mnist", 100, 64),
        *(draw("digits", seed, 4) for seed in range(4)),
        draw("mnist", 101, 32),
    ]


async def _stopped(
    running: ServerProcess, effort: Effort, shots: Sequence[Shot], chance: random.Random
) -> Stop:
    until, probed = Until(), Until()
    async with Client(running.port, 10.0) as client, Client(running.port, 10.0) as prober:
        mixed = iter(lambda: chance.choice(shots), None)
        load = asyncio.create_task(at_rate(client, mixed, effort.per_second, until, fresh_every=2))
        probes = asyncio.create_task(_probed(prober, probed))
        await asyncio.sleep(0.3 + 0.5 * chance.random())
        told = time.monotonic()
        running.terminate()
        code = await _ended(running, effort.grace_s + 10)
        ended = time.monotonic()
        # Some more, which nobody listens to any longer.
        await asyncio.sleep(0.1)
        until.now()
        probed.now()
        return Stop(await load, await probes, told, code, ended - told)


async def _ended(running: ServerProcess, patience_s: float) -> int | None:
    """Return the service's exit code; None if it will not end."""
    try:
        return await asyncio.to_thread(running.process.wait, patience_s)
    except subprocess.TimeoutExpired:
        return None


async def _probed(prober: Client, until: Until) -> list[Reply]:
    """Ask whether the service is ready, again and again, in turns on a kept connection and on a fresh one."""
    replies: list[Reply] = []
    shot = Shot.get("/readyz")
    while not until.reached(0.0):
        replies.append(await prober.send(shot, fresh=len(replies) % 2 == 1, patience_s=5.0))
        await asyncio.sleep(_PROBE_EVERY_S)
    return replies


def _finding(effort: Effort, stops: list[Stop]) -> Finding:
    replies = [reply for stop in stops for reply in stop.replies]
    after = [reply for stop in stops for reply in stop.replies if reply.begun > stop.told]
    lost = [reply for stop in stops for reply in stop.lost]
    refused = [reply for reply in replies if reply.status == 503]
    draining = [probe for stop in stops for probe in stop.probes_while_draining(effort.not_ready_within_s)]
    figures = {
        "stops": len(stops),
        "requests": len(replies),
        "answers": seen(replies),
        "sent after the signal": seen(after),
        "lost on fresh connections": sum(one.is_fresh for one in lost),
        "lost on kept connections": sum(not one.is_fresh for one in lost),
        "stops that lost requests": sum(bool(stop.lost) for stop in stops),
        "readyz said 200 for ms, at most": round(1000 * max(stop.not_ready_after_s for stop in stops)),
        "readyz while draining": seen(draining),
        "exit codes": dict(Counter(str(stop.exit_code) for stop in stops)),
        "exit after s, at most": round(max(stop.exit_s for stop in stops), 2),
    }
    laws = {
        "no accepted request fails": not lost,
        "only 200 and 503": {one.status for one in replies if one.status} <= {200, 503},
        "every 503 says Connection: close": all(one.says_close for one in refused),
        f"readyz is not 200 after {1000 * effort.not_ready_within_s:g} ms": all(
            stop.not_ready_after_s <= effort.not_ready_within_s for stop in stops
        ),
        "readyz is then 503 until nobody listens": all(
            probe.status == 503 or probe.outcome is Outcome.REFUSED for probe in draining
        ),
        "exit code 0": all(stop.exit_code == 0 for stop in stops),
        f"ends within {effort.grace_s:g} s": all(stop.exit_s <= effort.grace_s for stop in stops),
        "every image right": all(one.is_right for one in replies if one.status == 200),
    }
    return Finding("drain", figures, laws)
