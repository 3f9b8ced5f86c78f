"""The service under load and faults, for seconds each; `make chaos ARGS=serving` does the same for minutes.

What must hold stands in each scenario, as its laws. None is about speed beyond generous bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.serving.campaign import SCENARIOS, carry_out
from tests.chaos.serving.findings import Finding, keep, kept, table
from tests.chaos.serving.vitals import Chart, Vitals

_HAS_A_TEST_OF_ITS_OWN = {"fuzz"}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name not in _HAS_A_TEST_OF_ITS_OWN])
def test_the_service_bears_it(scenario: str, tmp_path: Path) -> None:
    finding = carry_out(scenario, tmp_path / "siege", short=True)
    assert not finding.broken, dict(finding.figures)


def a_finding(*, holds: bool) -> Finding:
    return Finding(
        "flood", {"requests": 1200, "answers": {"200": 7}, "back after s": [2.5, 1.5]}, {"dry": holds}
    )


def test_the_newest_finding_of_a_scenario_and_form_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "reliability.json"
    for form, holds in (("full", True), ("short", True), ("full", False)):
        keep(a_finding(holds=holds).record(form), file)
    assert [(one["form"], one["holds"]) for one in kept(file)] == [("full", False), ("short", True)]


def test_the_table_says_which_law_is_broken() -> None:
    said = table([a_finding(holds=False).record("full")])
    assert "**broken:** dry" in said
    assert "requests 1,200, answers 200 × 7, back after s 1.5 … 2.5" in said
    assert said.endswith("| **no** |")


def vitals_of(memory_mib: Callable[[int], float]) -> Chart:
    return Chart([Vitals(float(at), memory_mib(at), 10 + at // 50, 7) for at in range(100)])


def test_growth_is_seen_and_a_spike_is_none() -> None:
    assert vitals_of(lambda at: 300.0 + (at % 10 == 0) * 90).memory_growth() == 0.0
    assert vitals_of(lambda at: 300.0 + 0.1 * at).memory_growth() == pytest.approx(0.033, abs=0.002)
    assert vitals_of(lambda at: 300.0).gained("descriptors") == 1
    assert len(vitals_of(lambda at: 300.0).after(60.0).samples) == 40
