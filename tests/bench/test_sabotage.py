"""The sabotage suite: every case says beforehand what it must bring; kept results hold by today's rules."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.sabotage import table, trial
from bench.sabotage.__main__ import SEEDS, trials
from bench.sabotage.cases import HEALTHY, SABOTAGES, UNLISTED, Base, Case, keep_few, shuffle_labels
from bench.sabotage.trial import RESULTS, Trial
from training.data import load_dataset
from training.recipes import RECIPES

RIGHT, FALSE_ALARMS = 0.9, 0.05


def test_every_kind_of_sabotage_is_played_ten_times_and_every_recipe_five() -> None:
    kinds = {case.name for case in SABOTAGES}
    assert len(kinds) == 6
    assert all(case.expected and case.listed for case in SABOTAGES)
    assert not any(case.listed for case in UNLISTED)
    for kind in kinds:
        assert sum(case.name == kind for case in SABOTAGES) * len(SEEDS) == 10
    assert {base.recipe for base in HEALTHY} == set(RECIPES)
    assert len({one.result for one in trials()}) == len(trials())


def test_the_kept_results_are_named_rightly_by_the_rules_as_they_are() -> None:
    """Checks are kept, not only what was said: so rules can be changed, and are held to all of them."""
    kept = [one for one in trials() if one.case.listed and one.result.is_file()]
    right: dict[bool, list[bool]] = {True: [], False: []}
    for one in kept:
        document = json.loads(one.result.read_text())
        right[bool(document["expected"])].append(table.is_right(document))
    sabotaged, healthy = right[True], right[False]
    assert len(sabotaged) == len(healthy) == 60
    assert np.mean(sabotaged) >= RIGHT
    assert np.mean(healthy) >= 1.0 - FALSE_ALARMS


def test_a_trial_keeps_its_checks_and_is_not_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(trial, "_CACHE", cache)
    monkeypatch.setattr(table, "TABLE", tmp_path / "table.md")
    case = Case("nothing", Base("vanilla", 1, ("batch_size=50", "networks.generator_hidden=[8]")))
    one = Trial(case, 7, tmp_path / "results")
    document = one.run()
    assert json.loads(one.result.read_text()) == document
    assert document["checks"]["images_seen"] == [50 * at for at in range(1, 21)]
    written = table.write_table([one, Trial(case, 8, tmp_path / "results")])
    assert "| nothing-vanilla | nothing | 1 | 1 | healthy 1 |" in written
    assert "healthy runs left in peace: 1 of 1" in written


def test_sabotaged_data_is_what_it_is_said_to_be(cache: Path) -> None:
    digits = load_dataset("digits", cache)
    random = np.random.default_rng(0)
    few = keep_few(digits, random)
    train = few.part(held_out=False)
    assert np.unique(train.labels, return_counts=True)[1].tolist() == [5] * 10
    assert (few.held_out.sum(), few.digest == digits.digest) == (digits.held_out.sum(), False)
    shuffled = shuffle_labels(digits, random)
    assert (shuffled.labels == digits.labels).mean() < 0.2
    assert sorted(shuffled.labels) == sorted(digits.labels)
    assert RESULTS.name == "sabotage"
