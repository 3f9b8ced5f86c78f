"""The rules for a game that does not settle: it leads nowhere, falls apart, or runs in circles."""

from __future__ import annotations

from training.doctor.course import ASTRAY, POOR, Course
from training.recipe_config import Recipe

_GOOD = 0.2
_HOPS = 0.7
_BEGUN = 0.1


def convergence_failure(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that draws are far from the data and come no nearer, or None.

    Classes are left aside: whether draws follow theirs is another question.
    """
    distance = course.typical("distance_pooled")
    if distance is None:
        return None
    too_long = _too_long(course) if course.now.progress >= _BEGUN else None
    if too_long and distance >= _GOOD:
        return f"{too_long}, and draws are at {distance:.2f} from the data (0 is as good as real)"
    if course.mature(0.0) and course.always("distance_pooled", lambda value: value >= ASTRAY):
        return f"draws are at {distance:.2f} from the data; one real sample, always the same, would be at 1"
    best = min(course.values("distance_pooled"))
    if course.always("distance_pooled", lambda value: value >= max(2.0 * best, best + _GOOD)):
        return f"draws were at {best:.2f} from the data, and are at {distance:.2f} now"
    if course.mature(0.5) and not course.improves and distance >= POOR:
        return f"draws are at {distance:.2f} from the data (0 is as good as real), and come no nearer"
    return None


def _too_long(course: Course) -> str | None:
    """Say what shows that turns move G too far for anything to settle, or None."""
    if course.thrown("g"):
        return (
            f"turns moved G by {course.longest_stride('g'):.0%} of its weights' norm on average for a while"
        )
    if course.leaps:
        return f"a turn moves G by up to {max(course.latest('g_step')):.1%} of its weights' norm"
    return None


def oscillation(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that the players run round each other, or None."""
    raw, averaged = course.typical("distance_raw", 5), course.typical("distance", 5)
    motion = course.typical("motion", 5)
    if raw is None or averaged is None or motion is None:
        return None
    too_long = _too_long(course) if course.leaps else None
    if too_long:
        return f"{too_long}; its draws are at {raw:.2g} from the data, its average's at {averaged:.2g}"
    if course.mature(0.5) and not course.improves and motion >= _HOPS and raw >= max(0.3, 1.4 * averaged):
        return (
            f"between two checks, draws of the same latents move {motion:.2f} times as far as two real "
            f"samples lie apart; G is at {raw:.2f} from the data, its average at {averaged:.2f}"
        )
    return None
