"""The worker is killed, again and again: the service comes back, and clients that try again lose nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.serving.arrivals import Until, over_and_over
from tests.chaos.serving.client import Client, Outcome, Reply, Shot
from tests.chaos.serving.figures import seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SHIPPED, draw, learnt, server, workers
from tests.fakes.server import ServerProcess

_TRY_AGAIN_S = 0.05
_GIVE_UP_S = 60.0
_MOMENT_S = 1.0
CONTAINER = {"BENTOML_CONTAINERIZED": "true"}


@dataclass(frozen=True)
class Effort:
    """How often the worker is killed, how far apart, and how soon the service must be back."""

    kills: int
    every_s: float
    back_within_s: float
    clients: int = 6
    surroundings: Mapping[str, str] = field(default_factory=dict)


FULL = Effort(24, 5.0, 5.0)
SHORT = Effort(2, 0.5, 30.0)


@dataclass
class Patient:
    """What became of the requests of clients that try again until they have an answer."""

    answered: list[Reply] = field(default_factory=list)
    failed: list[Reply] = field(default_factory=list)
    given_up: int = 0

    async def ask(self, client: Client, shot: Shot) -> None:
        """Send a shot until it is answered with 200, or for a minute."""
        begun = time.monotonic()
        while time.monotonic() - begun < _GIVE_UP_S:
            reply = await client.send(shot, patience_s=10.0)
            if reply.status == 200:
                self.answered.append(reply)
                return
            self.failed.append(reply)
            await asyncio.sleep(_TRY_AGAIN_S)
        self.given_up += 1


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Let clients ask for images all the time, and kill the worker every few seconds."""
    with server(folder, SHIPPED, effort.surroundings) as running:
        async with Client(running.port) as client:
            shots = await learnt(client, [draw("mnist", seed, 1 + seed % 8) for seed in range(24)])
            patient, until = Patient(), Until()
            load = [
                asyncio.create_task(_play(client, shots[k:], patient, until)) for k in range(effort.clients)
            ]
            back_s = await _kill_again_and_again(running, effort)
            await asyncio.sleep(0.5)
            until.now()
            await asyncio.gather(*load)
        survived = running.process.poll() is None
    return _finding(effort, patient, back_s, survived=survived)


async def _play(client: Client, shots: list[Shot], patient: Patient, until: Until) -> None:
    for shot in over_and_over(shots):
        if until.reached(0.0):
            return
        await patient.ask(client, shot)
        await asyncio.sleep(0.01)


async def _kill_again_and_again(running: ServerProcess, effort: Effort) -> list[float]:
    """Return the seconds after each kill until the service answered a new request; ends if it never does."""
    back_s: list[float] = []
    async with Client(running.port) as prober:
        due = time.monotonic() + effort.every_s
        for _ in range(effort.kills):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            killed = time.monotonic()
            for worker in workers(running):
                _kill(worker)
            back_s.append(await _until_back(prober, killed))
            if back_s[-1] == float("inf"):
                break
            # Where it takes too long, clients shall have a moment all the same.
            due = max(killed + effort.every_s, time.monotonic() + _MOMENT_S)
    return back_s


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


async def _until_back(prober: Client, killed: float) -> float:
    shot = draw("mnist", 1, 1)
    while time.monotonic() - killed < _GIVE_UP_S:
        reply = await prober.send(shot, fresh=True, patience_s=0.5)
        if reply.status == 200:
            return reply.begun + reply.seconds - killed
        await asyncio.sleep(0.01)
    return float("inf")


def _finding(effort: Effort, patient: Patient, back_s: list[float], *, survived: bool) -> Finding:
    worst = max(back_s)
    figures = {
        "kills": len(back_s),
        "back after s": [round(one, 2) for one in back_s if one < _GIVE_UP_S],
        "requests answered": len(patient.answered),
        "tries that failed": seen(patient.failed),
        "requests lost": patient.given_up,
        "settings of a container": bool(effort.surroundings),
    }
    strange = [one for one in patient.failed if one.outcome is Outcome.ANSWERED and one.status != 503]
    laws = {
        f"back within {effort.back_within_s:g} s each time": worst < effort.back_within_s,
        "clients that try again lose nothing": patient.given_up == 0 and len(back_s) == effort.kills,
        "what is answered is 200 or 503": not strange,
        "every image right": all(one.is_right for one in patient.answered),
        "the service itself lives on": survived,
    }
    return Finding("crash in a container" if effort.surroundings else "crash", figures, laws)
