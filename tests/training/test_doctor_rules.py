"""Each failure is named by its signs, and by nothing else: rules on constructed courses of signals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from training.doctor import Failure, Signals, diagnose
from training.doctor.remedies import remedy
from training.recipe_config import Recipe, override
from training.recipes import RECIPES, recipe_named

CHECKS = 12
CONDITIONAL, PLAIN = recipe_named("default"), recipe_named("dcgan")

HEALTHY = Signals(
    images_seen=0,
    turns=1000,
    progress=0.0,
    train_rows=1500,
    rate=1.0,
    finite=True,
    auc_drawn=0.8,
    auc_held_out=0.52,
    auc_held_out_error=0.025,
    auc_label=0.97,
    g_slope=0.5,
    d_slope=0.4,
    g_step=2e-3,
    d_step=3e-3,
    motion=0.2,
    distance=0.1,
    distance_raw=0.12,
    distance_pooled=0.05,
    real_spread=1.3,
    real_dimension=6.0,
    nearest=1.1,
    spread=0.9,
    spread_in_class=0.8,
    spread_worst=0.6,
    dimension=1.1,
    coverage=0.8,
    classes_drawn=0.95,
    agreement=0.9,
    agreement_held_out=0.95,
    agreement_chance=0.1,
    agreement_error=0.02,
)
"""What a good run shows; distances fall over the course, as :func:`course` makes them."""


def course(checks: int = CHECKS, start: int = 0, **signs: Any) -> list[Signals]:
    """Return a healthy run's checks, with ``signs`` from the check ``start`` on: values, or lists of them."""
    history = []
    for at in range(checks):
        share = (at + 1) / checks
        better = 1.0 - 0.8 * share
        check = replace(
            HEALTHY,
            images_seen=10_000 * (at + 1),
            progress=share,
            distance=better * 0.5,
            distance_raw=better * 0.6,
            distance_pooled=better * 0.3,
        )
        if at >= start:
            now = {name: value[at] if isinstance(value, list) else value for name, value in signs.items()}
            check = replace(check, **now)
        history.append(check)
    return history


def named(history: list[Signals], recipe: Recipe = CONDITIONAL) -> set[Failure]:
    """Return what is named at any check of the course."""
    return {
        finding.failure
        for count in range(1, len(history) + 1)
        for finding in diagnose(history[:count], recipe)
    }


FAR = {"distance": 0.6, "distance_raw": 0.6, "distance_pooled": 0.6}
NEVER_NEARER = {"distance": 0.3, "distance_raw": 0.3, "distance_pooled": 0.2}

CASES = {
    "black images": ({"real_spread": 0.0, "spread": 1e9}, CONDITIONAL, Failure.NO_VARIETY),
    "G frozen": ({"g_step": 0.0}, PLAIN, Failure.GENERATOR_STILL),
    "D frozen": ({"d_step": 0.0}, PLAIN, Failure.DISCRIMINATOR_STILL),
    "known by heart": ({"auc_held_out": 0.8}, PLAIN, Failure.DISCRIMINATOR_OVERFITS),
    "known, and draws get worse": (
        {"auc_held_out": 0.65, "distance": [0.02 + 0.005 * at for at in range(CHECKS)]},
        PLAIN,
        Failure.DISCRIMINATOR_OVERFITS,
    ),
    "few images, often shown": (
        {"train_rows": 40, "auc_held_out": 0.56, "auc_held_out_error": 0.05},
        PLAIN,
        Failure.DISCRIMINATOR_OVERFITS,
    ),
    "copies": ({"nearest": 0.2}, PLAIN, Failure.DISCRIMINATOR_OVERFITS),
    "D sure of itself": (
        {"auc_drawn": 1.0, "d_slope": 0.02, **NEVER_NEARER},
        PLAIN,
        Failure.DISCRIMINATOR_TOO_STRONG,
    ),
    "no slope for G": ({"auc_drawn": 1.0, "g_slope": 0.01}, PLAIN, Failure.DISCRIMINATOR_TOO_STRONG),
    "D runs ahead": ({"d_step": 0.05, "g_step": 1e-3}, CONDITIONAL, Failure.DISCRIMINATOR_TOO_STRONG),
    "noise on all": ({**FAR, "auc_drawn": 0.5}, PLAIN, Failure.DISCRIMINATOR_BLIND),
    "nowhere near": (FAR, PLAIN, Failure.CONVERGENCE_FAILURE),
    "leaps": ({"g_step": 0.1, "d_step": 0.1, **FAR}, PLAIN, Failure.CONVERGENCE_FAILURE),
    "circles": (
        {"motion": 1.0, "distance": 0.3, "distance_raw": 0.8, "distance_pooled": 0.3},
        PLAIN,
        Failure.OSCILLATION,
    ),
    "wrong classes": (
        {"agreement": 0.12, "auc_label": 0.98, **NEVER_NEARER},
        CONDITIONAL,
        Failure.LABEL_IGNORED,
    ),
    "labels unseen": (
        {"agreement": 0.1, "auc_label": 0.5, **NEVER_NEARER},
        CONDITIONAL,
        Failure.LABEL_IGNORED,
    ),
    "labels at random": (
        {"agreement": 0.1, "agreement_held_out": 0.1, "auc_label": 0.5},
        CONDITIONAL,
        Failure.LABELS_SAY_NOTHING,
    ),
    "a curve": ({"dimension": 0.16}, PLAIN, Failure.MODE_COLLAPSE),
    "a point": ({"spread": 0.05, **NEVER_NEARER}, PLAIN, Failure.MODE_COLLAPSE),
    "one class": ({"classes_drawn": 0.1, **NEVER_NEARER}, PLAIN, Failure.MODE_COLLAPSE),
    "a curve in each class": ({"dimension": 0.16}, CONDITIONAL, Failure.CLASS_COLLAPSE),
    "a point in one class": ({"spread_worst": 0.05}, CONDITIONAL, Failure.CLASS_COLLAPSE),
    "a point in each class": (
        {"spread_in_class": 0.1, "spread_worst": 0.1},
        CONDITIONAL,
        Failure.CLASS_COLLAPSE,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_failure_is_named_by_its_signs(case: str) -> None:
    signs, recipe, failure = CASES[case]
    assert failure in named(course(**signs), recipe)


@pytest.mark.parametrize("recipe", [CONDITIONAL, PLAIN, recipe_named("wgan-gp")])
def test_nothing_is_named_in_a_good_run(recipe: Recipe) -> None:
    assert named(course(40), recipe) == set()


def test_numbers_that_are_none_are_named_at_once() -> None:
    history = course(1, finite=False, distance=None)
    assert named(history) == {Failure.NON_FINITE}


@pytest.mark.parametrize(
    "signs", [{"spread": 0.1}, {"auc_held_out": 0.8}, {"dimension": 0.1}, {"g_step": 0.5}]
)
def test_one_check_alone_names_nothing(signs: dict[str, float]) -> None:
    """Chance shows everything once."""
    history = course(start=6, **signs)[:7]
    assert diagnose(history, PLAIN) == []


def test_a_young_generator_is_narrow_and_no_collapse() -> None:
    """Generators begin by drawing one grey blot, and spread as they learn."""
    spread = [0.05 + 0.02 * at for at in range(CHECKS)]
    assert named(course(spread=spread), PLAIN) == set()


def test_a_fall_of_variety_is_named_at_any_time() -> None:
    spread = [0.8] * 3 + [0.1] * (CHECKS - 3)
    history = course(spread=spread)
    assert diagnose(history[:5], PLAIN) == []
    assert {finding.failure for finding in diagnose(history[:6], PLAIN)} == {Failure.MODE_COLLAPSE}


def test_draws_that_fall_away_from_the_data_are_named() -> None:
    distances = [0.5, 0.3, 0.1, 0.1, 0.1, 0.1, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7]
    found = diagnose(course(distance_pooled=distances)[:9], PLAIN)
    assert Failure.CONVERGENCE_FAILURE in {finding.failure for finding in found}
    assert "were at 0.10" in found[0].evidence


def test_a_run_of_few_turns_is_not_judged_by_where_it_got() -> None:
    signs, recipe, failure = CASES["one class"]
    assert failure in named(course(**signs), recipe)
    assert named(course(**signs, turns=40), recipe) == set()


def test_a_critic_that_tells_all_apart_is_no_failure() -> None:
    """A Wasserstein critic at its optimum is what that game asks for."""
    signs = {"auc_drawn": 1.0, "d_slope": 0.0, **NEVER_NEARER}
    assert named(course(**signs), recipe_named("wgan-gp")) == set()
    assert named(course(**signs), PLAIN) == {Failure.DISCRIMINATOR_TOO_STRONG}


def test_a_d_that_wins_while_draws_come_nearer_is_left_alone() -> None:
    assert named(course(auc_drawn=1.0, d_slope=0.0), PLAIN) == set()


def test_what_was_shown_a_few_times_is_not_yet_known_by_heart() -> None:
    assert named(course(auc_held_out=0.7, train_rows=100_000), PLAIN) == set()


def test_a_d_that_has_nothing_to_learn_does_not_stand_still() -> None:
    assert Failure.DISCRIMINATOR_STILL not in named(course(d_step=0.0, d_slope=0.0), CONDITIONAL)


def test_the_first_turns_may_leap() -> None:
    """Optimisers have no sense of scale before they have seen some gradients."""
    signs = {"g_step": 0.1, **FAR}
    assert Failure.CONVERGENCE_FAILURE not in named(course(6, **signs, turns=60), PLAIN)


def test_draws_beside_the_data_are_a_failure_and_no_collapse() -> None:
    signs = {"distance_pooled": 1.6, "dimension": 0.0}
    assert named(course(6, **signs), PLAIN) == {Failure.CONVERGENCE_FAILURE}


def test_five_steps_of_a_critic_are_five_steps() -> None:
    strides = {"d_step": 0.07, "g_step": 6e-3}
    assert named(course(**strides), recipe_named("wgan")) == set()
    assert Failure.DISCRIMINATOR_TOO_STRONG in named(course(**strides), PLAIN)


def test_a_rate_that_has_run_out_is_no_standstill() -> None:
    """At the end of a linear decay nothing moves, as it should."""
    assert named(course(start=CHECKS - 2, rate=0.01, g_step=1e-7, d_step=1e-7), PLAIN) == set()
    assert named(course(start=CHECKS - 2, rate=0.5, g_step=1e-7), PLAIN) == {Failure.GENERATOR_STILL}


def test_weights_that_were_thrown_far_are_a_failure_to_converge_and_no_standstill() -> None:
    """A step is measured over the weights' norm: where that has exploded, no step moves them visibly."""
    turns = [40 * (at + 1) for at in range(CHECKS)]
    signs: dict[str, Any] = {"turns": turns, "g_step": [2e-3] * 3 + [0.0] * (CHECKS - 3), **FAR}
    far, near = [0.05, 2.5] + [0.0] * (CHECKS - 2), [0.05] * CHECKS
    assert named(course(**signs, g_change=far), PLAIN) == {Failure.CONVERGENCE_FAILURE}
    assert Failure.GENERATOR_STILL in named(course(**signs, g_change=near), PLAIN)


def test_a_g_that_was_thrown_far_and_still_leaps_runs_in_circles() -> None:
    """However near the draws are: its average hides what it does."""
    turns = [40 * (at + 1) for at in range(CHECKS)]
    signs: dict[str, Any] = {"turns": turns, "g_step": 0.03, "distance_pooled": 0.1}
    assert named(course(**signs, g_change=[4.0] + [0.2] * (CHECKS - 1)), PLAIN) == {Failure.OSCILLATION}
    assert named(course(**signs, g_change=0.2), PLAIN) == set()


def test_the_very_first_turns_say_nothing_of_all_others() -> None:
    turns = [5 * (at + 1) for at in range(CHECKS)]
    assert named(course(turns=turns, g_change=0.5, g_step=0.03), PLAIN) == set()


def test_narrow_draws_may_widen_for_some_hundred_turns() -> None:
    """Photographs took 330 turns to leave one image a class."""
    young = [60 * (at + 1) for at in range(CHECKS)]
    signs: dict[str, Any] = {"spread_in_class": 0.1, "spread_worst": 0.05}
    assert named(course(6, **signs, turns=young)) == set()
    assert named(course(**signs, turns=young)) == {Failure.CLASS_COLLAPSE}


def test_few_dimensions_are_judged_by_the_latent_that_has_few() -> None:
    two = override(PLAIN, ["latent.dim=2"])
    assert named(course(dimension=0.35), two) == {Failure.MODE_COLLAPSE}
    assert named(course(dimension=0.35), PLAIN) == set()


def test_labels_are_not_doubted_where_either_d_or_a_classifier_reads_them() -> None:
    unread = {"agreement": 0.1, "agreement_held_out": 0.1}
    assert Failure.LABELS_SAY_NOTHING not in named(course(**unread, auc_label=0.8))
    assert Failure.LABELS_SAY_NOTHING not in named(course(agreement_held_out=0.9, auc_label=0.5))
    few = {**unread, "auc_label": 0.5, "agreement_error": 0.1}
    assert Failure.LABELS_SAY_NOTHING not in named(course(**few))


def test_a_long_run_may_know_some_of_its_data_while_draws_do_not_suffer() -> None:
    """Each digit was shown 180 times to `dcgan`, which ranked 69 % above unseen ones and drew ever better."""
    assert named(course(auc_held_out=0.69), PLAIN) == set()


@pytest.mark.parametrize("failure", list(Failure))
@pytest.mark.parametrize("name", RECIPES)
def test_every_remedy_is_one_that_the_recipe_takes(failure: Failure, name: str) -> None:
    """What stands after each --set is a setting of the recipe, of the right type and in range."""
    recipe = recipe_named(name)
    words = remedy(failure, recipe).replace(",", " ").replace(";", " ").split()
    settings = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    override(recipe, settings)
    assert any(word.startswith("--") for word in words)
    assert f"--recipe {name}" not in remedy(failure, recipe)


def test_a_finding_reads_as_a_sentence_with_figures_and_settings() -> None:
    [finding] = diagnose(course(auc_held_out=0.8), PLAIN)
    name, seen, remedies = finding.text().splitlines()
    assert name == "discriminator overfits"
    assert "80%" in seen
    assert "--set augmentation.translation=0.1" in remedies
