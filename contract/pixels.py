"""From a generator's float image to bytes: the one rounding rule."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

PIXEL_RULE: Final = "clip(round_half_even(x * 127.5 + 127.5), 0, 255)"
"""The rule as manifests state it: in float32, multiplication before addition."""

_HALF_RANGE = np.float32(127.5)


def to_pixels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Map float32 in [-1, 1] (any shape, finite) to uint8; values outside are clipped."""
    levels = np.rint(image * _HALF_RANGE + _HALF_RANGE)
    return cast("NDArray[np.uint8]", np.clip(levels, 0, 255).astype(np.uint8))


def image_batch_to_pixels(images_NCHW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Map a generator's output, float32 ``[N, C, H, W]``, to contiguous uint8 ``[N, H, W, C]``."""
    return np.ascontiguousarray(to_pixels(images_NCHW).transpose(0, 2, 3, 1))


def from_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Map uint8 to float32 in [-1, 1]: the exact inverse of the pixel rule on its levels."""
    return (pixels.astype(np.float32) - _HALF_RANGE) / _HALF_RANGE
