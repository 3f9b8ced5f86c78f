"""Means of what each step measures, gathered between two reports."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class Figures:
    """Running sums of scalar tensors; part of the training state, so that a resumed run reports the same."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def __bool__(self) -> bool:
        return self._steps > 0

    def add(self, **figures: Tensor) -> None:
        """Take in one step's figures, left on their device until they are asked for."""
        for name, value in figures.items():
            total = self._sums.get(name)
            self._sums[name] = value.detach() if total is None else total + value.detach()
        self._steps += 1

    @property
    def sums(self) -> list[Tensor]:
        """The running sums themselves, which processes that train together replace by their means."""
        return list(self._sums.values())

    def means(self) -> dict[str, float]:
        """Return the mean of each figure since the last :meth:`clear`."""
        return {name: float(total) / self._steps for name, total in self._sums.items()}

    def finite(self) -> bool:
        """Tell whether every figure is a number."""
        return all(math.isfinite(value) for value in self.means().values())

    def clear(self) -> None:
        """Begin anew."""
        self._sums, self._steps = {}, 0

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain data for a checkpoint."""
        return {"sums": dict(self._sums), "steps": self._steps}

    def load_state_dict(self, saved: dict[str, Any], device: torch.device) -> None:
        """Take over what :meth:`state_dict` returned."""
        self._sums = {name: value.to(device) for name, value in saved["sums"].items()}
        self._steps = saved["steps"]
