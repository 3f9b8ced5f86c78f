"""What the doctor says of a run afterwards: from its log, and from a newest checkpoint that is later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from training.checkpoint import checkpoints, images_seen_at, load_newest
from training.doctor import Failure, Finding, Signals, diagnose
from training.errors import RunError
from training.recipe_config import Recipe
from training.run import RunDirectory
from training.trainer import Trainer

_AS_IF = 6
"""A lone look is judged as if the run had stood still for this many checks."""
_SHOWN = {
    "distance": "draws from the data, averaged weights (0 is as good as real, 1 a single sample)",
    "coverage": "real samples with a draw near, over those with a real one near",
    "spread": "draws lie apart, over real samples",
    "spread_in_class": "draws of a class lie apart, over real samples of it",
    "dimension": "dimension of draws, over that of real samples",
    "agreement": "draws read as the class asked for",
    "agreement_held_out": "held-out samples read as their class",
    "auc_drawn": "D tells training from drawn (0.5 is chance)",
    "auc_held_out": "D tells training from held-out (0.5 is chance)",
    "auc_label": "D tells right labels from wrong ones (0.5 is chance)",
    "g_step": "a turn moves G's weights by this share",
    "d_step": "a turn moves D's weights by this share",
}


@dataclass(frozen=True)
class Named:
    """A finding, with the check at which it was first made and whether it still holds at the last one."""

    images_seen: int
    finding: Finding
    holds: bool


@dataclass(frozen=True)
class Consultation:
    """What was found, oldest first, and the page of text that says so."""

    named: tuple[Named, ...]
    text: str

    @property
    def failures(self) -> list[Failure]:
        """The failures, oldest first."""
        return [named.finding.failure for named in self.named]


def consult(trainer: Trainer) -> Consultation:
    """Diagnose a run again from its log, and from its newest checkpoint where the log does not reach it.

    Raises ``RunError`` if there is neither.
    """
    if not trainer.run.doctor_log.is_file() and _newest(trainer.run) <= 0:
        raise RunError(f"{trainer.run.path} has not been trained yet: there is nothing to look at")
    lines = read_log(trainer.run)
    history = _history(lines)
    notes = [_event(line) for line in lines if "rolled_back_to" in line]
    if not history or history[-1].images_seen < _newest(trainer.run):
        looked = _look(trainer, history)
        history = looked if looked is not None else history
    if not lines:
        notes.append("judged by one look at the newest checkpoint: there is no log of the run's course")
    named = _named(history, lines, trainer.recipe)
    return Consultation(tuple(named), _text(trainer, history, named, notes))


def read_log(run: RunDirectory) -> list[dict[str, Any]]:
    """Return the whole lines of the doctor's log, oldest first; none if there is no log."""
    if not run.doctor_log.is_file():
        return []
    lines = run.doctor_log.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _newest(run: RunDirectory) -> int:
    found = checkpoints(run.checkpoints)
    return images_seen_at(found[-1]) if found else -1


def _look(trainer: Trainer, history: list[Signals]) -> list[Signals] | None:
    """Examine the newest checkpoint; None if it cannot be and the log must do."""
    try:
        trainer.saves.take_up(load_newest(trainer.run.checkpoints)[1])
    except RunError:
        if not history:
            raise
        return None
    trainer.doctor.check(trainer.state)
    return trainer.doctor.history


def summary(run: RunDirectory, recipe: Recipe) -> str | None:
    """Return in one line what the doctor's log shows, or None if there is none."""
    lines = read_log(run)
    history = _history(lines)
    if not history:
        return None
    named = _named(history, lines, recipe)
    told = (
        f"{one.finding.failure.value} after {one.images_seen:,} images: {one.finding.evidence}"
        for one in named
    )
    return "; ".join(told) or f"nothing wrong was found at {len(history)} checks"


def _history(lines: list[dict[str, Any]]) -> list[Signals]:
    return [Signals.read(line["signals"]) for line in lines if "signals" in line]


def _named(history: list[Signals], lines: list[dict[str, Any]], recipe: Recipe) -> list[Named]:
    courses = [history[: count + 1] for count in range(len(history))] if lines else [history * _AS_IF]
    first: dict[Failure, tuple[int, Finding]] = {}
    found: list[Finding] = []
    for course in courses:
        found = diagnose(course, recipe)
        for finding in found:
            first.setdefault(finding.failure, (course[-1].images_seen, finding))
    for line in lines:
        if "signals" not in line and "findings" in line:  # a divergence between two checks
            for document in line["findings"]:
                finding = Finding.read(document)
                found = [*found, finding]
                first.setdefault(finding.failure, (line["images_seen"], finding))
    holding = {finding.failure for finding in found}
    return [Named(seen, finding, finding.failure in holding) for seen, finding in first.values()]


def _event(line: dict[str, Any]) -> str:
    return (
        f"after {line['images_seen']:,} images the run went back to its best averaged weights, those after "
        f"{line['rolled_back_to']:,}"
    )


def _text(trainer: Trainer, history: list[Signals], named: list[Named], notes: list[str]) -> str:
    recipe, data = trainer.recipe.name, trainer.config.data
    lines = [f"{trainer.run.path}: {recipe} on {data}, {len(history)} checks"]
    if history:
        last = history[-1]
        lines += ["", f"after {last.images_seen:,} images:"]
        figures = ((getattr(last, name), meaning) for name, meaning in _SHOWN.items())
        lines += [f"  {value:8.3g}  {meaning}" for value, meaning in figures if value is not None]
    lines.append("")
    for one in named:
        passed = "" if one.holds else ", and no longer so at the last check"
        lines.append(f"after {one.images_seen:,} images{passed}: {one.finding.text()}")
    if not named:
        lines.append("nothing wrong was found")
    return "\n".join([*lines, *notes])
