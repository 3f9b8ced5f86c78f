"""A run that is killed at any moment goes on to the end that it would have had."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.command import Budget
from tests.chaos.evidence import evidence
from tests.chaos.siege import Untouched, besiege
from training.cli import main


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["default", "gaussian-1d"])
def test_three_kills_and_a_damaged_checkpoint_change_nothing(
    recipe: str, tmp_path: Path, cache: Path
) -> None:
    """Killed by SIGKILL at its start, at a step and in a save; `make chaos` does more, to every recipe."""
    budget = Budget(recipe, steps=64)
    assert main(budget.arguments(tmp_path / "untouched", cache)) == 0
    expected = Untouched(evidence(tmp_path / "untouched"), start_s=4.0)
    outcome = besiege(budget, expected, tmp_path, cache, random.Random(recipe), kills=3)
    assert len(outcome.deaths) >= 3
    assert outcome.compared > 80
    assert outcome.differing == ()
