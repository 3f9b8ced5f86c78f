"""The rules for a generator that draws too few different things, in all or inside a class."""

from __future__ import annotations

from training.doctor.course import ASTRAY, Course
from training.recipe_config import Recipe

_THIN, _THIN_BY_LATENT = 0.25, 0.5
"""Shares of the real samples' dimension: a curve has 0.16 of the digits', weak generators down to 0.33.

The second holds where the latent itself has at most half as many dimensions as what real samples lie on.
"""
_NARROW = 0.3
"""Share of the real samples' spread; generators begin there, and leave it unless they collapse."""
_NARROW_IN_CLASS = 0.35
_NARROW_IN_ONE = 0.15
_FEW_CLASSES = 0.35
_PEAK = 0.4
_LATE, _TURNS = 0.5, 400
"""Share of a run, and turns, before which narrow draws may still widen: photographs took 330 turns."""


def mode_collapse(course: Course, recipe: Recipe) -> str | None:
    """Say what shows that draws are alike whatever the latent and the class, or None.

    Draws beside the data may be alike too; that is no collapse onto some of it.
    """
    if _beside_the_data(course):
        return None
    thin = None if recipe.conditional else _thin(course, recipe)
    return thin or _fell(course, "spread") or _stays_narrow(course) or _few_classes(course)


def class_collapse(course: Course, recipe: Recipe) -> str | None:
    """Say what shows that the draws of one class are alike, or None."""
    if not recipe.conditional or _beside_the_data(course):
        return None
    return _thin(course, recipe) or _fell(course, "spread_in_class") or _narrow_in_class(course)


def _beside_the_data(course: Course) -> bool:
    distance = course.typical("distance_pooled")
    return distance is not None and distance >= ASTRAY


def _thin(course: Course, recipe: Recipe) -> str | None:
    real = course.now.real_dimension
    poor = real is not None and 2 * recipe.latent.dim <= real
    limit = _THIN_BY_LATENT if poor else _THIN
    if not course.begun or not course.always("dimension", lambda share: share < limit):
        return None
    return f"draws lie on something of {course.now.dimension:.2f} times the dimension that real samples have"


def _fell(course: Course, name: str) -> str | None:
    found = course.values(name)
    if not found or max(found) < _PEAK or not course.always(name, lambda now: now < 0.4 * max(found)):
        return None
    return f"draws lay {max(found):.2f} times as far apart as real samples, and lie {found[-1]:.2f} times now"


def _stays_narrow(course: Course) -> str | None:
    spread = course.typical("spread")
    if spread is None or spread >= _NARROW or not course.mature(_LATE, _TURNS):
        return None
    if course.improves or course.grows("spread"):
        return None
    return f"draws lie {spread:.2f} times as far apart as real samples, no farther than before"


def _few_classes(course: Course) -> str | None:
    share = course.typical("classes_drawn", 5)
    if share is None or share >= _FEW_CLASSES or not course.mature(_LATE, _TURNS):
        return None
    if course.improves or course.grows("classes_drawn"):
        return None
    return f"draws amount to {share:.0%} of the classes that real samples are read as"


def _narrow_in_class(course: Course) -> str | None:
    spread, worst = course.typical("spread_in_class"), course.typical("spread_worst")
    if spread is None or worst is None or not course.mature(_LATE, _TURNS):
        return None
    if spread < _NARROW_IN_CLASS and not course.grows("spread_in_class"):
        return f"draws of a class lie {spread:.2f} times as far apart as real samples of it"
    if worst < _NARROW_IN_ONE and not course.grows("spread_worst"):
        return f"in one class, draws lie {worst:.2f} times as far apart as real samples of it"
    return None
