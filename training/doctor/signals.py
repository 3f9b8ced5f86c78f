"""What the doctor measures at one check: the record of it, and what each figure means."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

_DIGITS = 5


@dataclass(frozen=True)
class Signals:
    """One check's figures. None is a figure that means nothing here, or could not be measured."""

    images_seen: int
    turns: int
    """Steps of G so far."""
    progress: float
    """Share of the run that is done, 0 to 1."""
    train_rows: int
    """How many training samples there are."""
    rate: float
    """The learning rates' present share of what the recipe says."""
    finite: bool
    """Whether draws, scores and weights are numbers."""
    auc_drawn: float | None = None
    """Chance that D ranks a training sample above a drawn one: 0.5 if it cannot tell, 1 if it always can."""
    auc_held_out: float | None = None
    """The same against a held-out sample, which D never saw: more than 0.5 if it knows some by heart."""
    auc_held_out_error: float | None = None
    """Standard error of that figure, were there no difference."""
    auc_label: float | None = None
    """Chance that D ranks a held-out sample with its own label above the same with another's."""
    g_slope: float | None = None
    """Mean size of the derivative of G's loss by D's scores, at most 1; 0 teaches G nothing."""
    d_slope: float | None = None
    """The same of D's loss: 0 where D has nothing left to learn."""
    g_gradient: float | None = None
    """Norm of G's last gradient over the norm of its weights."""
    d_gradient: float | None = None
    g_step: float | None = None
    """Change of G's weights in one turn, over their norm: of the first turn after the check before."""
    d_step: float | None = None
    g_change: float | None = None
    """Change of G's weights since the check before, over their norm."""
    d_change: float | None = None
    motion: float | None = None
    """How far the draws of the same latents moved since the check before, real samples being 1 apart."""
    distance: float | None = None
    """Energy distance of the averaged generator's draws from real ones, in each class: the run's quality."""
    distance_raw: float | None = None
    """The same of the generator that is trained."""
    distance_pooled: float | None = None
    """That of the averaged generator, whatever the class."""
    real_spread: float | None = None
    """Mean distance of two real samples, in units of their deviation: 0 where all are the same."""
    nearest: float | None = None
    """Median distance of a draw from the nearest training sample, over that of held-out ones; 0: copies."""
    spread: float | None = None
    """Mean distance of two draws over that of two real samples, whatever their class."""
    spread_in_class: float | None = None
    spread_worst: float | None = None
    """The smallest of the classes' figures."""
    real_dimension: float | None = None
    """Dimension of what real samples of a class lie on."""
    dimension: float | None = None
    """Dimension of what draws of a class lie on, over that of real samples."""
    coverage: float | None = None
    """Share of real samples with a draw near, over the share with another real sample near."""
    coverage_worst: float | None = None
    """The smallest of the classes' figures."""
    classes_drawn: float | None = None
    """How many classes the draws amount to when read, over how many held-out samples do."""
    agreement: float | None = None
    """Share of draws that are read as the class that they were drawn for."""
    agreement_held_out: float | None = None
    """The same of held-out samples and their labels."""
    agreement_chance: float | None = None
    """The share that always reading the commonest class would get right."""
    agreement_error: float | None = None
    """Standard error of that share."""

    def numbers(self) -> dict[str, float]:
        """Return the figures that were measured, by name."""
        found = {key: value for key, value in asdict(self).items() if key != "images_seen"}
        return {key: float(value) for key, value in found.items() if value is not None}

    def document(self) -> dict[str, Any]:
        """Return what stands in the log, without what is None."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def rounded(self) -> Signals:
        """Return them as they are logged and judged: five significant digits, None for what is no number."""
        changes: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float):
                changes[field.name] = float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
        return replace(self, **changes)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Signals:
        """Take up a logged record; what this version does not know is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in document.items() if key in known})
