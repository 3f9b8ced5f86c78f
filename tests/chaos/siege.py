"""One recipe under siege: killed, damaged and gone on with until done, then held against an untouched run."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.command import Budget, Command, carry_out
from tests.chaos.evidence import differences, evidence
from tests.chaos.moments import MOMENTS, Victim, damage_newest
from training.checkpoint import checkpoints
from training.run import RunDirectory


@dataclass(frozen=True)
class Outcome:
    """What a siege came to; ``differing`` names what is not as in the untouched run."""

    recipe: str
    deaths: tuple[str, ...]
    compared: int
    differing: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Untouched:
    """A run that nothing happened to: what it left, and how long it took to its first step."""

    evidence: dict[str, str]
    start_s: float


def untouched(budget: Budget, folder: Path, cache: Path) -> Untouched:
    """Train without a disturbance."""
    path = folder / f"{budget.recipe}-untouched"
    with Command(budget.arguments(path, cache)) as command:
        command.wait_until(lambda: bool(checkpoints(RunDirectory(path).checkpoints)))
        start_s = time.monotonic() - command.begun
        status, said = command.result()
    assert status == 0, said
    return Untouched(evidence(path), start_s)


def besiege(
    budget: Budget, expected: Untouched, folder: Path, cache: Path, chance: random.Random, kills: int
) -> Outcome:
    """Kill a run at its start, at a step, while it saves and at random; damage its newest checkpoint once."""
    begun = time.monotonic()
    victim = Victim(budget, folder / f"{budget.recipe}-besieged", cache, chance, expected.start_s)
    moments = ["start", "step", "save"][:kills]
    moments += chance.choices([*MOMENTS], k=kills - len(moments))
    for moment in moments:
        victim.suffer(moment)
    damaged = damage_newest(victim)
    said = carry_out(victim.arguments())
    if damaged is not None:
        warnings = [line for line in said.splitlines() if damaged in line and "the one before it" in line]
        assert len(warnings) == 1, f"not one line about the damaged {damaged}:\n{said}"
    got = evidence(victim.path)
    differing = tuple(differences(expected.evidence, got))
    seconds = time.monotonic() - begun
    return Outcome(budget.recipe, tuple(victim.deaths), len(expected.evidence), differing, seconds)
