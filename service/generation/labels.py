"""Class labels as weights, and what sums of them and paths between them are.

Shapes: N images, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

# Sums this close to 1 are 1 in float32, in which the graph counts.
_SUM_TOLERANCE = 2.0**-24
# A class with less than this share of a blend is what rounding leaves where weights cancel one another: each
# weight, and each product, is off by 2^-53 of itself at most.
_LEAST_BLEND = 2.0**-50


@dataclass(frozen=True)
class Label:
    """What one image shows: a single class, or a mixture as the weights of several, which sum to 1."""

    weights: dict[int, float]

    @property
    def index(self) -> int | None:
        """The class, or None for a mixture."""
        return next(iter(self.weights)) if len(self.weights) == 1 else None


class LabelsToDraw(Sequence[Label]):
    """Labels that are drawn once one of them is looked at: for a request that is refused none is."""

    def __init__(self, count: int, draw: Callable[[], Sequence[Label]]) -> None:
        self._count = count
        self._draw = draw

    @cached_property
    def _drawn(self) -> Sequence[Label]:
        return self._draw()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Label: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Label]: ...

    def __getitem__(self, place: int | slice) -> Label | Sequence[Label]:
        return self._drawn[place]

    def __iter__(self) -> Iterator[Label]:
        return iter(self._drawn)


def weights_matrix(labels: Sequence[Label], classes: int) -> NDArray[np.float32]:
    """Return the class weights of each label, float32 ``[N, K]``."""
    weights_NK = np.zeros((len(labels), classes), np.float32)
    for row, label in enumerate(labels):
        for index, weight in label.weights.items():
            weights_NK[row, index] = weight
    return weights_NK


def blended(labels: Sequence[Label], weights: Sequence[float]) -> Label | None:
    """Return the label of Σ w_k · label_k, clipped at 0 and renormalised; None if nothing is left."""
    shares: dict[int, list[float]] = {}
    for label, factor in zip(labels, weights, strict=True):
        for index, weight in label.weights.items():
            shares.setdefault(index, []).append(factor * weight)
    # Summed exactly, so that no order of the terms differs from another, and what cancels is 0.
    totals = {index: math.fsum(shares[index]) for index in sorted(shares)}
    size = math.fsum(abs(part) for parts in shares.values() for part in parts)
    left = {index: total for index, total in totals.items() if total > _LEAST_BLEND * size}
    return Label(normalized(left)) if left else None


def between(first: Label, second: Label, t: float) -> Label:
    """Return the label a share ``t`` of the way from one to another; the ends are met exactly."""
    if t == 0.0 or first == second:
        return first
    classes = sorted({*first.weights, *second.weights})
    return Label(
        normalized(
            {
                index: (1.0 - t) * first.weights.get(index, 0.0) + t * second.weights.get(index, 0.0)
                for index in classes
            }
        )
    )


def normalized(weights: dict[int, float]) -> dict[int, float]:
    """Return the weights with sum 1, without those that are 0 to the graph, which counts in float32.

    Weights whose sum is 1 already stay as they are, to the last bit; a single one is exactly 1.
    """
    shares = weights
    if abs(math.fsum(weights.values()) - 1.0) > _SUM_TOLERANCE:
        largest = max(weights.values())
        scaled = {index: weight / largest for index, weight in weights.items()}
        total = math.fsum(scaled.values())
        shares = {index: weight / total for index, weight in scaled.items()}
    felt = {index: share for index, share in shares.items() if np.float32(share) > 0}
    return felt if len(felt) > 1 else dict.fromkeys(felt, 1.0)
