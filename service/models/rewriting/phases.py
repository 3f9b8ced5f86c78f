"""The mathematics of a layer that doubles an image: each kind of pixels is a convolution of its own.

Along one axis a layer makes two kinds of pixels, the even and the odd ones, its *phases*. Every pixel of a
phase reads the same places of the image that is doubled, counted from its own, and weighs them alike.

Shapes: K the kernel along an axis, T the places that a phase reads, O output channels, I input channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Phase:
    """One kind of pixels along an axis."""

    weighed_TK: NDArray[np.float32]
    """1 where a place is weighed by a weight of the layer's kernel, else 0."""
    before: int
    """How many places over the near edge the first pixel reads."""
    after: int
    """How many over the far edge the last one does."""

    @property
    def is_plain(self) -> bool:
        """Whether a convolution that is padded with zeros can do it."""
        return len(self.weighed_TK) > 0 and self.before >= 0 and self.after >= 0


def phases_of_transposed(size: int, pad: int) -> tuple[Phase, Phase]:
    """Return the phases of a transposed convolution of stride 2 with so many weights, so many cut off."""
    even, odd = (
        _phase({weight: (number + pad - weight) // 2 for weight in range((number + pad) % 2, size, 2)}, size)
        for number in range(2)
    )
    return even, odd


def phases_of_repeated(size: int, pad: int) -> tuple[Phase, Phase]:
    """Return the phases of a convolution of an image whose pixels stand twice, so many zeros before it."""
    even, odd = (
        _phase({weight: (number + weight - pad) // 2 for weight in range(size)}, size) for number in range(2)
    )
    return even, odd


def _phase(places: dict[int, int], size: int) -> Phase:
    """Return the phase whose weights weigh these places, counted from a pixel's own."""
    first, last = min(places.values(), default=0), max(places.values(), default=-1)
    weighed_TK = np.zeros((last - first + 1, size), np.float32)
    for weight, place in places.items():
        weighed_TK[place - first, weight] = 1
    return Phase(weighed_TK, before=-first, after=last)


def kernel_of(kernel_OIhw: NDArray[np.float32], rows: Phase, columns: Phase) -> NDArray[np.float32]:
    """Return the kernel of a convolution that makes the pixels of two phases, float32 ``[O, I, T, T]``."""
    exact = kernel_OIhw.astype(np.float64)
    operands = rows.weighed_TK, columns.weighed_TK, exact
    kernel_OItu: NDArray[np.float64] = np.einsum("th,uw,oihw->oitu", *operands, optimize=True)
    return kernel_OItu.astype(np.float32)
