"""The course of a run's signals, and the questions that rules ask of it.

Names of signals are fields of :class:`~training.doctor.signals.Signals`.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from training.doctor.signals import Signals

LATEST = 3
"""Checks that must agree before a failure is named: one alone may be chance."""
POOR = 0.4
"""A distance from the data at which all can see that draws are not real: a single point in their middle."""
ASTRAY = 1.0
"""A distance at which draws lie beside the data: one real sample, always the same, would be as near."""
_STRIDE = 0.04
"""A turn that moves G by this share of its weights' norm leaps; healthy ones stay below 0.03."""
_THROW = 0.03
"""As much in each turn of a whole stretch throws the weights far off; healthy ones move 0.015 at most."""
_STRETCH = 10
"""Turns of which a mean says something: an optimiser's very first ones are long in sound runs too."""
_BEGUN = 80
_ENOUGH = 6
"""Checks from which a trend can be told."""
_TURNS = 150
"""Turns before which no generator can be held to have failed: the quickest recipes need as many."""
_GAIN = 0.95


class Course:
    """All checks of a run so far, oldest first."""

    def __init__(self, history: list[Signals]) -> None:
        self.checks = history
        self.now = history[-1]

    def values(self, name: str) -> list[float]:
        """Return the signal at every check where it was measured."""
        found = (getattr(check, name) for check in self.checks)
        return [float(value) for value in found if value is not None]

    def latest(self, name: str, count: int = LATEST) -> list[float]:
        """Return the signal at the last checks, or nothing if one of them, or so many, lack it."""
        found = [getattr(check, name) for check in self.checks[-count:]]
        return found if len(found) == count and None not in found else []

    def typical(self, name: str, count: int = LATEST) -> float | None:
        """Return the median of the last checks, or None if there are not so many."""
        found = self.latest(name, count)
        return median(found) if found else None

    def always(self, name: str, holds: Callable[[float], bool], count: int = LATEST) -> bool:
        """Tell whether it held at each of the last checks."""
        found = self.latest(name, count)
        return bool(found) and all(holds(value) for value in found)

    def mature(self, progress: float, turns: int = _TURNS) -> bool:
        """Tell whether so much of the run is done, in enough turns to learn and enough checks to show it."""
        done = self.now.progress >= progress and self.now.turns >= turns
        return done and len(self.checks) >= _ENOUGH

    @property
    def improves(self) -> bool:
        """Tell whether the averaged generator came nearer to the data in the later half of the checks.

        Inside the classes, or in all: young generators learn the one before the other.
        """
        return self.falls("distance") or self.falls("distance_pooled")

    def falls(self, name: str) -> bool:
        """Tell whether the signal is lower in the later half of the checks; True if that is not known."""
        distances = self.values(name)
        window = max(LATEST, len(distances) // 2)
        if len(distances) < 2 * window:
            return True
        return min(distances[-window:]) < _GAIN * min(distances[:-window])

    @property
    def begun(self) -> bool:
        """Tell whether the first turns are over, in which optimisers leap and D wins in sound runs too."""
        return self.now.turns >= _BEGUN

    @property
    def leaps(self) -> bool:
        """Tell whether turns move G too far for anything to settle, or still far after it was thrown."""
        stride, limit = self.typical("g_step"), _STRIDE / 2 if self.thrown("g") else _STRIDE
        return self.begun and stride is not None and stride >= limit

    @property
    def leapt(self) -> bool:
        """Tell whether G was thrown, or one of the latest turns that were measured moved it as far."""
        return self.thrown("g") or (self.begun and max(self.latest("g_step"), default=0.0) >= _STRIDE)

    def longest_stride(self, player: str) -> float:
        """Return how much of its weights' norm the player, ``g`` or ``d``, moved by in a turn at its fastest.

        A mean over the turns between two checks, of the way from the one to the other; 0 if none is known.
        """
        fastest, before = 0.0, 0
        for check in self.checks:
            way, turns = getattr(check, f"{player}_change"), check.turns - before
            if way is not None and turns >= _STRETCH:
                fastest = max(fastest, way / turns)
            before = check.turns
        return fastest

    def thrown(self, player: str, steps: int = 1) -> bool:
        """Tell whether turns of so many steps have ever thrown the player's weights out of all proportion.

        Large weights make the next turns look short, so that these say nothing any more.
        """
        return self.longest_stride(player) >= _THROW * steps

    def grows(self, name: str) -> bool:
        """Tell whether it is a fifth higher than a third of the run ago; True if that is not known."""
        found = self.values(name)
        window = max(LATEST, len(found) // 3)
        if len(found) < 2 * window:
            return True
        return median(found[-LATEST:]) > 1.2 * median(found[-window - LATEST : -window])
