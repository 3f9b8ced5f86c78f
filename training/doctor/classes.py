"""The rules for labels: those that say nothing, and those that draws make no use of."""

from __future__ import annotations

from training.doctor.course import Course
from training.recipe_config import Recipe

_SURE = 2.0
_ENOUGH = 0.06
"""Largest standard error with which held-out samples can show that labels say nothing."""
_READABLE = 0.2
_LEARNT = 0.3


def labels_say_nothing(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that samples do not go with their labels, or None.

    Neither a simple classifier nor D itself, which trains on them for the whole run, must tell a held-out
    sample's own label from another one.
    """
    now, told = course.now, course.typical("auc_label")
    read, chance, error = now.agreement_held_out, now.agreement_chance, now.agreement_error
    if read is None or chance is None or error is None or error > _ENOUGH:
        return None
    if told is None or told >= 0.55 or read > chance + _SURE * error + 0.02:
        return None
    return (
        f"a classifier trained on the labels reads {read:.0%} of held-out samples right, by chance "
        f"{chance:.0%}; D prefers a sample's own label {told:.0%} of the time, by chance 50 %"
    )


def label_ignored(course: Course, _recipe: Recipe) -> str | None:
    """Say what shows that draws do not follow the class asked for, or None.

    A young generator learns to draw before it learns what each class is: it is left alone while D learns
    labels and draws come nearer.
    """
    now, agreement = course.now, course.typical("agreement")
    read, chance = now.agreement_held_out, now.agreement_chance
    if agreement is None or read is None or chance is None:
        return None
    if read - chance < _READABLE or agreement - chance >= _LEARNT * (read - chance):
        return None
    told = course.typical("auc_label") or 0.5
    unused = course.mature(0.6, 300) and told >= 0.9
    unseen = course.mature(0.75) and told < 0.7 and not course.falls("distance")
    if course.grows("agreement") or not (unused or unseen):
        return None
    return (
        f"{agreement:.0%} of draws are read as the class asked for, and {read:.0%} of held-out samples as "
        f"theirs; D prefers a sample's own label {told:.0%} of the time"
    )
