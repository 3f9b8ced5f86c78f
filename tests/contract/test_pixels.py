"""One rounding rule, exact in float32."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contract.pixels import from_pixels, image_batch_to_pixels, to_pixels


@given(st.floats(-3, 3, width=32))
def test_pixels_are_the_stated_rule_in_float32(value: float) -> None:
    level = np.float32(np.float32(value) * np.float32(127.5)) + np.float32(127.5)
    expected = Decimal(float(level)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    assert to_pixels(np.array([value], np.float32))[0] == min(max(int(expected), 0), 255)


def test_halves_go_to_the_even_level() -> None:
    half = np.arange(255, dtype=np.float32) + np.float32(0.5)
    x = (half - np.float32(127.5)) / np.float32(127.5)
    exact = x * np.float32(127.5) + np.float32(127.5) == half
    assert exact.sum() > 200
    assert not (to_pixels(x)[exact] % 2).any()


def test_values_outside_are_clipped() -> None:
    assert to_pixels(np.array([-9, 9, -np.inf, np.inf], np.float32)).tolist() == [0, 255, 0, 255]


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_pixels(from_pixels(levels)), levels)


def test_channels_come_last_and_rows_stay_themselves() -> None:
    levels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    pixels = image_batch_to_pixels(from_pixels(levels))
    assert pixels.shape == (2, 4, 5, 3)
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, levels.transpose(0, 2, 3, 1))
