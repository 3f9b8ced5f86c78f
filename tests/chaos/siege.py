"""One recipe under siege: killed, damaged and gone on with until done, then held against an untouched run."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.command import Budget, carry_out
from tests.chaos.evidence import differences, evidence
from tests.chaos.moments import MOMENTS, Victim, damage_newest


@dataclass(frozen=True)
class Outcome:
    """What a siege came to; ``differing`` names what is not as in the untouched run."""

    recipe: str
    deaths: tuple[str, ...]
    compared: int
    differing: tuple[str, ...]
    seconds: float


def untouched(budget: Budget, folder: Path, cache: Path) -> dict[str, str]:
    """Return the evidence of a run that nothing happens to."""
    path = folder / f"{budget.recipe}-untouched"
    carry_out(budget.arguments(path, cache))
    return evidence(path)


def besiege(
    budget: Budget, expected: dict[str, str], folder: Path, cache: Path, chance: random.Random, kills: int
) -> Outcome:
    """Kill a run at its start, at a step, while it saves and at random; damage its newest checkpoint once.

    ``expected`` is the evidence of the untouched run.
    """
    begun = time.monotonic()
    victim = Victim(budget, folder / f"{budget.recipe}-besieged", cache, chance)
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
    deaths = tuple(victim.deaths)
    differing = tuple(differences(expected, got))
    return Outcome(budget.recipe, deaths, len(expected), differing, time.monotonic() - begun)
