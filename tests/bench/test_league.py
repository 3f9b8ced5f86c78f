"""The league: everybody's time is the same, what was played counts once, and the tables say what came out."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bench.league import board as boards
from bench.league import match as matches
from bench.league import pace
from bench.league.__main__ import League
from bench.league.board import Board, settled
from bench.league.match import Match, Stopped
from bench.league.table import table, write_between

ROOT = Path(__file__).parent.parent.parent
BOARD = Board("digits", 0.01, 3)
REAL = {"coverage": 0.97, "density": 1.03, "class_accuracy": 0.99, "frechet_distance": 0.45}
NOISE = {"coverage": 0.0, "density": 0.0, "class_accuracy": 0.1, "frechet_distance": 4000.0}


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write runs, results and caches below a temporary directory."""
    monkeypatch.setattr(boards, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)


def _result(
    recipe: str, seed: int, *, digest: str | None = None, said: str | None = None, **drawn: float
) -> None:
    facts: dict[str, Any] = {
        "recipe": recipe,
        "recipe_digest": digest or settled(recipe)[1],
        "seed": seed,
        "cpu_s": 480.0,
        "images_per_cpu_s": 500.0,
        "doctor": [{"new": []}, {"new": [said]}] if said else [],
        "evaluation": {
            "images": 1000,
            "feature_space": {
                "classifier_digest": "sha256:" + "ab" * 32,
                "classifier_held_out_accuracy": 0.992,
            },
            "rows": {"generated": drawn, "real": REAL, "noise": NOISE},
        },
    }
    BOARD.results.mkdir(parents=True, exist_ok=True)
    (BOARD.results / f"{recipe}-{seed}.json").write_text(json.dumps(facts))


def test_a_table_orders_by_the_median_and_shows_the_worst_seed() -> None:
    for seed, coverage in enumerate((0.5, 0.9, 0.8)):
        _result("default", seed, coverage=coverage, density=1.0, class_accuracy=0.98, frechet_distance=seed)
    for seed, coverage in enumerate((0.85, 0.1, 0.2)):
        _result("dcgan", seed, said="mode collapse", coverage=coverage, density=0.5, frechet_distance=9.0)
    _result("wgan", 0, digest="of settings that are no more", coverage=1.0, density=1.0, frechet_distance=0.0)
    lines = table(BOARD).splitlines()
    assert (
        lines[2]
        == "| `default` | 0.800, 0.500 | 1.000, 1.000 | 0.980, 0.980 | 1.0, 2.0 | 500 | 8.0 | 3 | healthy |"
    )
    assert lines[3].startswith(
        "| `dcgan` | 0.200, 0.100 | 0.500, 0.500 | no classes | 9.0, 9.0 | 500 | 8.0 | 3 |"
    )
    assert lines[3].endswith("| mode collapse (3 of 3) |")
    assert lines[4].startswith("| *real against held-out real* | 0.970 | 1.030 | 0.990 | 0.5 |")
    assert "wgan" not in table(BOARD), "a result of other settings was counted"
    assert "classifier abababababab, which reads 99.2%" in lines[-1]


def test_seeds_that_others_were_not_played_from_stand_below_the_table() -> None:
    for seed, coverage in enumerate((0.9, 0.8, 0.85, 0.4)):
        _result("default", seed, coverage=coverage, density=1.0, class_accuracy=0.98, frechet_distance=1.0)
    lines = table(BOARD).splitlines()
    assert "0.850, 0.800" in lines[2]
    assert "From 4 seeds, `default`: coverage 0.825, worst 0.400; class accuracy at least 0.980" in lines[-1]


def test_a_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- league x -->\nold\n<!-- end league x -->\nafter\n")
    assert write_between(page, "league x", "| new |")
    assert page.read_text() == "before\n<!-- league x -->\n| new |\n<!-- end league x -->\nafter\n"
    assert not write_between(page, "league y", "| new |")


def test_a_pace_is_measured_once_for_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(recipe: Any, _dataset: Any) -> float:
        asked.append(recipe.name)
        return 1000.0 + len(asked)

    monkeypatch.setattr(pace, "_pace", measured)
    first = pace.paces(BOARD, ["vanilla", "dcgan"], Path("cache"))
    assert asked == ["vanilla", "dcgan"] * 3, "measured in turn, not one after the other"
    assert first == {"vanilla": 1003.0, "dcgan": 1004.0}
    assert pace.paces(BOARD, ["vanilla", "dcgan"], Path("cache")) == first
    assert len(asked) == 6


def test_a_match_is_gone_on_with_and_counts_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before its end it has no result; played to its end, the real command's figures stand in it."""
    match = Match(BOARD, "vanilla-shallow", 0, kimg=40.0, images_per_cpu_s=40000.0, cache=cache)
    with pytest.raises(Stopped):
        match.play(lambda process: _interrupt_once_training(match, process))
    assert (match.run / "config.json").is_file()
    assert not match.played
    League(until=1e12).play([match], workers=1)
    assert match.played
    result = json.loads(match.result.read_text())
    assert result["evaluation"]["rows"]["generated"]["coverage"] >= 0.0
    assert result["kimg"] == 40.0
    assert result["cpu_s"] > json.loads((match.run / "cpu_seconds.json").read_text()) * 0.99 > 0
    monkeypatch.setattr(matches, "settled", lambda name: (settled(name)[0], "sha256:other"))
    assert not match.played, "a result of other settings was taken for this one's"


def _interrupt_once_training(match: Match, process: Any) -> None:
    """Send Ctrl-C once the run has its first checkpoint."""

    def wait_and_send() -> None:
        while not list((match.run / "checkpoints").glob("*.pt")) and process.returncode is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)

    threading.Thread(target=wait_and_send, daemon=True).start()
