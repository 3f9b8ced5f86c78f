"""From signals to named failures: one rule for each failure.

Every rule is a pure function of the course of the signals, so that a run can be diagnosed again from its log.
None reads a loss. What healthy and failing runs show, and the thresholds, stands in ``docs/doctor.md``.
"""

from __future__ import annotations

from collections.abc import Callable

from training.doctor.balance import blind, discriminator_still, generator_still, overfits, too_strong
from training.doctor.classes import label_ignored, labels_say_nothing
from training.doctor.collapse import class_collapse, mode_collapse
from training.doctor.convergence import convergence_failure, oscillation
from training.doctor.course import Course
from training.doctor.findings import Failure, Finding
from training.doctor.remedies import remedy
from training.doctor.signals import Signals
from training.recipe_config import Recipe


def diagnose(history: list[Signals], recipe: Recipe) -> list[Finding]:
    """Return what the checks so far show to be wrong now, the failures that explain others first.

    ``history`` holds one check at least, oldest first.
    """
    course = Course(history)
    if not course.now.finite:
        return [non_finite(recipe, "draws or scores are no numbers")]
    found = []
    for failure, rule in _RULES.items():
        evidence = rule(course, recipe)
        if evidence is not None:
            found.append(Finding(failure, evidence, remedy(failure, recipe)))
        if found and found[0].failure is Failure.NO_VARIETY:
            break  # beside samples that are all the same, no other figure means anything
    return found


def non_finite(recipe: Recipe, evidence: str) -> Finding:
    """Return the finding of a training whose numbers are none."""
    return Finding(Failure.NON_FINITE, evidence, remedy(Failure.NON_FINITE, recipe))


def _no_variety(course: Course, _recipe: Recipe) -> str | None:
    spread = course.now.real_spread
    return "all training samples are the same" if spread is not None and spread < 1e-6 else None


_RULES: dict[Failure, Callable[[Course, Recipe], str | None]] = {
    Failure.NO_VARIETY: _no_variety,
    Failure.GENERATOR_STILL: generator_still,
    Failure.DISCRIMINATOR_STILL: discriminator_still,
    Failure.LABELS_SAY_NOTHING: labels_say_nothing,
    Failure.DISCRIMINATOR_OVERFITS: overfits,
    Failure.DISCRIMINATOR_TOO_STRONG: too_strong,
    Failure.DISCRIMINATOR_BLIND: blind,
    Failure.CONVERGENCE_FAILURE: convergence_failure,
    Failure.OSCILLATION: oscillation,
    Failure.LABEL_IGNORED: label_ignored,
    Failure.MODE_COLLAPSE: mode_collapse,
    Failure.CLASS_COLLAPSE: class_collapse,
}
