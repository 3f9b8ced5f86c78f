"""The quantile inverts the distribution function, to near the last bit of float64."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.normal import centred_normal_cdf, normal_cdf, normal_quantile


@given(st.floats(1e-300, 0.5))
def test_the_quantile_inverts_the_lower_tail(probability: float) -> None:
    x = normal_quantile(np.array([probability]))
    assert normal_cdf(x)[0] == pytest.approx(probability, rel=1e-11)


@given(st.floats(1e-12, 1 - 1e-12))
def test_the_quantile_agrees_with_the_standard_library(probability: float) -> None:
    assert normal_quantile(np.array([probability]))[0] == pytest.approx(
        NormalDist().inv_cdf(probability), rel=1e-9, abs=1e-14
    )


@pytest.mark.parametrize(
    ("probability", "quantile"),
    [
        # Reference values of Φ⁻¹ in all three branches: centre, shoulder and far tail.
        (0.25, -0.6744897501960817),
        (0.001, -3.090232306167813),
        (1e-20, -9.262340089798408),
    ],
)
def test_known_quantiles(probability: float, quantile: float) -> None:
    assert normal_quantile(np.array([probability]))[0] == pytest.approx(quantile, rel=1e-15)


@given(st.floats(-8, 8))
def test_the_centred_form_is_odd_and_twice_phi_minus_one(x: float) -> None:
    value = centred_normal_cdf(np.array([x]))[0]
    assert value == -centred_normal_cdf(np.array([-x]))[0]
    assert value == pytest.approx(2 * normal_cdf(np.array([x]))[0] - 1, abs=1e-15)
    assert math.copysign(1, value) == math.copysign(1, x)
