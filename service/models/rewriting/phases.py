"""The mathematics of a layer that doubles an image: each kind of pixels is a convolution of its own.

Along one axis a layer makes two kinds of pixels, the even and the odd ones, its *phases*. Every pixel of a
phase reads the same places of the image that is doubled, counted from its own, and weighs them alike.

Shapes: h by w a layer's kernel, T the places that a phase reads, O output channels, I input channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Phase:
    """One kind of pixels along an axis."""

    weights: Sequence[Sequence[int]]
    """For each place that a pixel reads, which of the kernel's weights weigh it: their sum does."""
    before: int
    """How many places over the near edge the first pixel reads."""
    after: int
    """How many over the far edge the last one does."""

    @property
    def is_plain(self) -> bool:
        """Whether a convolution that is padded with zeros can do it."""
        return len(self.weights) > 0 and self.before >= 0 and self.after >= 0


def phases_of_transposed(size: int, pad: int) -> tuple[Phase, Phase]:
    """Return the phases of a transposed convolution of stride 2 with so many weights, so many cut off."""
    even, odd = (
        _phase({weight: (number + pad - weight) // 2 for weight in range((number + pad) % 2, size, 2)})
        for number in range(2)
    )
    return even, odd


def phases_of_repeated(size: int, pad: int) -> tuple[Phase, Phase]:
    """Return the phases of a convolution of an image whose pixels stand twice, so many zeros before it."""
    even, odd = (
        _phase({weight: (number + weight - pad) // 2 for weight in range(size)}) for number in range(2)
    )
    return even, odd


def _phase(places: dict[int, int]) -> Phase:
    """Return the phase whose weights weigh these places, counted from a pixel's own."""
    first, last = min(places.values(), default=0), max(places.values(), default=-1)
    weights: list[list[int]] = [[] for _ in range(first, last + 1)]
    for weight, place in places.items():
        weights[place - first].append(weight)
    return Phase(weights, before=-first, after=last)


def kernel_of(kernel_OIhw: NDArray[np.float32], rows: Phase, columns: Phase) -> NDArray[np.float32]:
    """Return the kernel of a convolution that makes the pixels of two phases, float32 ``[O, I, T, T]``."""
    size = len(rows.weights), len(columns.weights)
    result = np.empty((*kernel_OIhw.shape[:2], *size), np.float32)
    for (row, heights), (column, widths) in product(enumerate(rows.weights), enumerate(columns.weights)):
        met = [kernel_OIhw[:, :, height, width] for height, width in product(heights, widths)]
        result[:, :, row, column] = met[0] if len(met) == 1 else np.sum(met, axis=0, dtype=np.float64)
    return result
