"""The doctor of one run: examines it when asked, remembers what it saw, and says what is new.

What it remembers is part of the checkpoint; what it looks at, it leaves as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data import Dataset
from training.doctor.diagnoses import diagnose
from training.doctor.examination import Judge, crowd_signals, distance, draw, rank_signals
from training.doctor.findings import Failure, Finding
from training.doctor.measures import energy_distance
from training.doctor.reference import Reference
from training.doctor.signals import Signals
from training.doctor.space import Float
from training.doctor.weights import relative_change, relative_gradient, sampled_weights
from training.networks import GeneratorSpec
from training.recipe_config import Recipe
from training.state import State


@dataclass(frozen=True)
class Check:
    """What one check found: its figures, the findings that hold now, and those made for the first time."""

    signals: Signals
    findings: list[Finding]
    new: list[Finding]
    is_best: bool
    """Whether the averaged generator is nearer to the real samples than at any check before."""

    def document(self) -> dict[str, Any]:
        """Return the check as it stands in the log."""
        return {
            "signals": self.signals.document(),
            "findings": [finding.document() for finding in self.findings],
            "new": [finding.failure.value for finding in self.new],
        }


class Doctor:
    """Reads a run's signals from time to time and names what goes wrong."""

    def __init__(self, recipe: Recipe, dataset: Dataset, spec: GeneratorSpec) -> None:
        self._recipe, self._dataset, self._spec = recipe, dataset, spec
        self.history: list[Signals] = []
        self._named: set[Failure] = set()
        self._places: Tensor | None = None
        self._weights: dict[str, Tensor] = {}
        self._steps: dict[str, float] = {}

    @cached_property
    def reference(self) -> Reference:
        """The real samples to compare with; made at the first check."""
        return Reference(self._dataset, self._recipe, self._spec)

    @property
    def last_check(self) -> int:
        """How many images were seen at the last check; -1 before the first."""
        return self.history[-1].images_seen if self.history else -1

    def watch_turn(self, state: State) -> None:
        """Measure how far the first turn after a check moves the weights; otherwise do nothing."""
        if self._steps:
            return
        now = _weights_of(state)
        if self._weights:
            self._steps = {name: relative_change(self._weights[name], now[name]) for name in now}
        else:
            self._weights = now

    def check(self, state: State) -> Check:
        """Examine the run as it is."""
        signals, places = self._examine(state)
        best = min((past.distance for past in self.history if past.distance is not None), default=None)
        self.history.append(signals)
        self._places = None if places is None else torch.from_numpy(places)
        self._weights, self._steps = _weights_of(state), {}
        findings = diagnose(self.history, self._recipe)
        new = [finding for finding in findings if finding.failure not in self._named]
        self._named |= {finding.failure for finding in new}
        is_best = (
            signals.finite and signals.distance is not None and (best is None or signals.distance < best)
        )
        return Check(signals, findings, new, is_best)

    def _examine(self, state: State) -> tuple[Signals, Float | None]:
        recipe, reference = self._recipe, self.reference
        progress = recipe.progress(state.images_seen)
        rate = recipe.learning_rate_share(state.images_seen)
        found: dict[str, Any] = {"finite": True}
        draws = draw(state.generator, reference)
        averaged = draw(state.averaged, reference)
        if averaged.places_NP is None or draws.places_NP is None:
            found["finite"] = False
        else:
            judge = Judge(
                state.discriminator, recipe, recipe.instance_noise * (1.0 - progress), seed=state.images_seen
            )
            found |= rank_signals(judge, reference, draws, recipe)
            before = None if self._places is None else self._places.numpy().astype(np.float64)
            found |= crowd_signals(reference, draws.places_NP, before)
            found["distance"] = distance(reference, averaged.places_NP)
            found["distance_pooled"] = energy_distance(averaged.places_NP, reference.anchors.places_NP)
        found |= self._weight_signals(state)
        signals = Signals(state.images_seen, state.steps, progress, reference.train_rows, rate, **found)
        return signals.rounded(), draws.places_NP

    def _weight_signals(self, state: State) -> dict[str, float | None]:
        found: dict[str, float | None] = {
            "g_gradient": relative_gradient(state.generator),
            "d_gradient": relative_gradient(state.discriminator),
            **{f"{name}_step": value for name, value in self._steps.items()},
        }
        now = _weights_of(state)
        if self._weights:
            found |= {f"{name}_change": relative_change(self._weights[name], now[name]) for name in now}
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain data for a checkpoint."""
        return {
            "history": [signals.document() for signals in self.history],
            "named": sorted(failure.value for failure in self._named),
            "places": self._places,
            "weights": dict(self._weights),
            "steps": dict(self._steps),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        self.history = [Signals.read(document) for document in saved["history"]]
        self._named = {Failure(name) for name in saved["named"]}
        self._places = saved["places"]
        self._weights, self._steps = dict(saved["weights"]), dict(saved["steps"])


def _weights_of(state: State) -> dict[str, Tensor]:
    return {"g": sampled_weights(state.generator), "d": sampled_weights(state.discriminator)}
