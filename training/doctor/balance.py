"""The rules for what stands between the two players: who stands still, wins too easily, or tells nothing."""

from __future__ import annotations

from training.doctor.course import POOR, Course
from training.recipe_config import Recipe

_STILL = 1e-5
"""Share of its weights' norm that a network moves in a turn at least; healthy ones move 1e-3."""
_STRIDE = 0.02
"""A step that moves D this far leaps; most healthy ones stay below."""
_AHEAD = 4.0
"""How many times as far as G a D that leaps may move; healthy ones that do move 2.7 times as far."""
_WINDOW = 5
_CHECKS = 6
"""D wins for a while at the beginning of many runs; only one that goes on winning is too strong."""
_TOLD = 0.99
_LEARNT = 0.06
_BY_HEART = 0.75
"""Share of pairs told apart at which D goes by memory; sound runs that are long for their data reach 0.69."""
_KNOWN = 0.6
"""Share from which draws that get worse are laid to D's memory."""
_WORSE = 0.05
_SURE = 2.5
_SOON = 10
"""Times that each training sample must have been shown before any of them can be known by heart."""
_FEW_ROWS, _OFTEN = 200, 200
_COPIES = 0.4
_CHANCE = 0.57


def generator_still(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that G does not move, or None."""
    return None if course.thrown("g") else _still(course, "g_step", "G")


def discriminator_still(course: Course, recipe: Recipe) -> str | None:
    """Say what shows that D does not move, or None; one that has nothing left to learn need not."""
    learnt = course.now.d_slope is not None and course.now.d_slope <= _LEARNT
    if learnt or course.thrown("d", recipe.discriminator_steps):
        return None
    return _still(course, "d_step", "D")


def _still(course: Course, name: str, who: str) -> str | None:
    steps, rate = course.latest(name, 2), course.now.rate
    if rate < 0.05 or not steps or max(steps) > _STILL * rate:
        return None
    return f"a turn moves {who}'s weights by {max(steps):.1g} of their norm; healthy ones move by 1e-3"


def overfits(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that D knows the training samples by heart, or that G copies them, or None."""
    now, known = course.now, course.typical("auc_held_out")
    error, shown = now.auc_held_out_error, now.images_seen / max(now.train_rows, 1)
    if known is None or error is None or shown < _SOON:
        return None
    told = f"D ranks a training sample above one it never saw {known:.0%} of the time (50 % is no difference)"
    if known - 0.5 >= _SURE * error and (harm := _harm(course, known)) is not None:
        return f"{told}{harm}"
    recent = course.latest("auc_held_out", 5)
    if now.train_rows <= _FEW_ROWS and shown >= _OFTEN and recent and sum(recent) / 5 - 0.5 >= error:
        return f"{told}, and each of the {now.train_rows} has been shown {shown:,.0f} times"
    near = course.typical("nearest")
    if near is not None and near <= _COPIES and course.always("spread", lambda spread: spread >= 0.4):
        return (
            f"draws lie {near:.2f} times as far from a training sample as held-out ones do: they are copies"
        )
    return None


def _harm(course: Course, known: float) -> str | None:
    """Say what it does to draws that D knows so many training samples, or None if they do not suffer."""
    if known >= _BY_HEART:
        return ""
    best, now = min(course.values("distance"), default=0.0), course.typical("distance")
    if known < _KNOWN or now is None or now < best + _WORSE:
        return None
    return f", and draws were at {best:.2f} from the data and are at {now:.2f} now"


def too_strong(course: Course, recipe: Recipe) -> str | None:
    """Say what shows that D leaves G nothing to learn from, or None.

    A Wasserstein critic at its optimum is what that game asks for, so there only the length of steps counts.
    """
    if fast := _too_fast(course, recipe):
        return fast
    told = course.typical("auc_drawn", _CHECKS)
    if told is None or recipe.loss == "wasserstein":
        return None
    if not course.begun or not course.always("auc_drawn", lambda auc: auc >= _TOLD, _CHECKS):
        return None
    effect = _nothing_to_learn(course)
    return effect and f"D tells {told:.1%} of pairs of a real and a drawn sample apart, {effect}"


def _nothing_to_learn(course: Course) -> str | None:
    now = course.now
    if course.always("g_slope", lambda slope: slope <= _LEARNT, _CHECKS):
        return f"and at its scores G's loss has slope {now.g_slope:.3f} of at most 1"
    if not course.mature(0.3) or course.improves:
        return None
    if course.always("d_slope", lambda slope: slope <= _LEARNT, _CHECKS):
        return f"and has next to nothing left to learn: its loss has slope {now.d_slope:.3f} of at most 1"
    if (course.typical("distance_pooled") or 0.0) >= POOR:
        return "and draws come no nearer to the data"
    return None


def _too_fast(course: Course, recipe: Recipe) -> str | None:
    """Weigh D's strides over several checks: leaps make weights large, and the next steps look small."""
    strides, others = course.latest("d_step", _WINDOW), course.latest("g_step", _WINDOW)
    if not strides or not any(others) or course.leapt:
        return None
    steps = [stride / recipe.discriminator_steps for stride in strides]
    stride, other = sum(steps) / _WINDOW, sum(others) / _WINDOW
    long = sum(step >= _STRIDE for step in steps) > 1
    if not long or stride < _STRIDE or stride < _AHEAD * other:
        return None
    return (
        f"a step moves D by {stride:.1%} of its weights' norm, {stride / other:.0f} times as far as G, which "
        "is taught by another D each time"
    )


def blind(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that D tells drawn from real no better than by chance, where all can see it, or None."""
    told, away = course.latest("auc_drawn"), course.typical("distance_pooled")
    if not course.mature(0.25) or not told or away is None or course.improves or course.leapt:
        return None
    mean = sum(told) / len(told)
    if away < POOR or mean > _CHANCE:
        return None
    return f"D tells {mean:.0%} of pairs apart, as by chance, though draws are at {away:.2f} from the data"
