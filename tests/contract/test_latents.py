"""The law of the canonical latent, of each prior and of both truncations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from contract.latents import (
    MAX_SEED,
    TRUNCATION_MODES,
    Prior,
    Truncation,
    TruncationMode,
    UndefinedLatent,
    graph_input,
    random_class,
    standard_normal,
)
from contract.normal import normal_cdf, normal_quantile
from contract.philox import Stream, random_words

numbers = st.integers(0, MAX_SEED)
latents = arrays(np.float32, (3, 6), elements=st.floats(-6, 6, width=32))

# Frozen for good: a change of any of these changes every image ever drawn from a seed.
FROZEN = {
    (0, 0): [-0.255815983, 1.1775912, 0.630183637, 0.26756224, 1.91480327, -0.352874905],
    (42, 3): [0.530923963, 0.646401882, 0.187784672, 0.0652780086, 0.737424493, 1.29140139],
    (MAX_SEED, MAX_SEED): [-1.96119153, -1.99125063, 0.518862247, 0.194348246, 0.0841847137, -1.42916572],
}


@pytest.mark.parametrize(("seed", "index"), FROZEN)
def test_latents_are_frozen(seed: int, index: int) -> None:
    drawn = standard_normal([seed], [index], 6)[0]
    assert drawn.dtype == np.float32
    assert drawn.tolist() == pytest.approx(FROZEN[seed, index], abs=1e-6)


@given(seed=numbers, index=numbers)
def test_latents_follow_the_stated_rule(seed: int, index: int) -> None:
    """G = Φ⁻¹((w + 0.5) / 2^32) in float64, cast to float32."""
    words = random_words([seed], [index], Stream.LATENT, 9)[0].astype(np.float64)
    expected = normal_quantile((words + 0.5) / 2**32).astype(np.float32)
    assert np.array_equal(standard_normal([seed], [index], 9)[0], expected)


def test_latents_are_standard_normal_and_uncorrelated() -> None:
    g = standard_normal(np.full(20_000, 11), np.arange(20_000), 8).astype(np.float64)
    assert np.abs(g.mean(axis=0)).max() < 4 / math.sqrt(20_000)
    assert np.abs(np.cov(g, rowvar=False) - np.eye(8)).max() < 0.05
    assert (np.abs(g) > 3).mean() == pytest.approx(0.0027, abs=0.0006)


@given(seed=numbers, index=numbers, rows=st.integers(1, 5))
def test_a_latent_is_the_same_alone_and_in_any_company(seed: int, index: int, rows: int) -> None:
    index = min(index, MAX_SEED - rows)
    together = standard_normal([seed] * rows, range(index, index + rows), 5)
    for row in range(rows):
        assert np.array_equal(together[row], standard_normal([seed], [index + row], 5)[0])


def test_longer_latents_begin_with_the_shorter_ones() -> None:
    assert np.array_equal(standard_normal([3], [4], 64)[0, :10], standard_normal([3], [4], 10)[0])


@given(seed=numbers, index=numbers, classes=st.integers(1, 5000))
def test_the_random_class_is_the_scaled_first_word(seed: int, index: int, classes: int) -> None:
    word = int(random_words([seed], [index], Stream.CLASS_CHOICE, 1)[0, 0])
    assert random_class([seed], [index], classes).tolist() == [(word * classes) >> 32]


def test_random_classes_are_even() -> None:
    counts = np.bincount(random_class(np.full(10_000, 1), np.arange(10_000), 10), minlength=10)
    assert counts.min() > 850
    assert counts.max() < 1150


@given(latents)
def test_a_normal_prior_takes_the_latent_as_it_is(g: np.ndarray) -> None:
    assert np.array_equal(graph_input(g, Prior.NORMAL), g)


@given(latents)
def test_a_uniform_prior_is_twice_phi_minus_one(g: np.ndarray) -> None:
    z = graph_input(g, Prior.UNIFORM)
    assert np.allclose(z, 2 * normal_cdf(g.astype(np.float64)) - 1, atol=1e-7)
    assert np.abs(z).max() <= 1


@given(latents.filter(lambda g: (np.linalg.norm(g, axis=1) > 1e-3).all()))
def test_a_sphere_prior_keeps_the_direction_and_sets_the_norm(g: np.ndarray) -> None:
    z = graph_input(g, Prior.SPHERE)
    assert np.linalg.norm(z, axis=1) == pytest.approx(math.sqrt(6), rel=1e-6)
    cosine = (z * g).sum(axis=1) / (np.linalg.norm(z, axis=1) * np.linalg.norm(g, axis=1))
    assert cosine == pytest.approx(1, abs=1e-5)


def test_a_sphere_prior_refuses_a_latent_of_zeros() -> None:
    with pytest.raises(UndefinedLatent, match="zeros"):
        graph_input(np.zeros((1, 4), np.float32), Prior.SPHERE)


@given(g=latents, threshold=st.floats(0.05, 5))
def test_a_threshold_is_the_stated_map_inside_the_bound(g: np.ndarray, threshold: float) -> None:
    z = graph_input(g, Prior.NORMAL, Truncation(mode="threshold", value=threshold)).astype(np.float64)
    low = normal_cdf(np.array(-threshold))
    share = low + normal_cdf(g.astype(np.float64)) * (1 - 2 * low)
    assert np.allclose(normal_cdf(z), share, atol=1e-7)
    assert np.abs(z).max() <= threshold * (1 + 1e-6)


@given(threshold=st.floats(0.3, 4.5), step=st.floats(0, 1e-3))
def test_a_threshold_morphs_without_jumps(threshold: float, step: float) -> None:
    g = standard_normal([8], [0], 64)
    here = graph_input(g, Prior.NORMAL, Truncation(mode="threshold", value=threshold))
    there = graph_input(g, Prior.NORMAL, Truncation(mode="threshold", value=threshold + step))
    assert np.abs(here - there).max() <= 1.01 * step + 1e-6


def test_a_threshold_gives_a_truncated_normal() -> None:
    """The variance of a normal truncated to (-1, 1) is 1 - 2 φ(1) / (2Φ(1) - 1) = 0.2911."""
    g = standard_normal(np.full(5_000, 2), np.arange(5_000), 8)
    z = graph_input(g, Prior.NORMAL, Truncation(mode="threshold", value=1.0))
    assert z.var() == pytest.approx(0.2911, abs=0.006)


def test_a_threshold_survives_latents_far_out() -> None:
    g = np.array([[1e4, -1e4, 40.0, -0.0]], np.float32)
    z = graph_input(g, Prior.NORMAL, Truncation(mode="threshold", value=2.0))
    assert z[0].tolist() == pytest.approx([2.0, -2.0, 2.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("prior", [Prior.NORMAL, Prior.UNIFORM])
@given(g=latents, scale=st.floats(0, 2))
def test_a_scale_multiplies_the_input(prior: Prior, g: np.ndarray, scale: float) -> None:
    z = graph_input(g, prior, Truncation(mode="scale", value=scale))
    assert np.array_equal(z, graph_input(g, prior) * np.float32(scale))


@pytest.mark.parametrize(
    ("prior", "mode"),
    [(prior, mode) for prior in Prior for mode in TruncationMode if mode not in TRUNCATION_MODES[prior]],
)
def test_truncations_that_mean_nothing_for_a_prior_are_refused(prior: Prior, mode: TruncationMode) -> None:
    with pytest.raises(UndefinedLatent, match=prior):
        graph_input(np.ones((1, 2), np.float32), prior, Truncation(mode=mode, value=1.0))


def test_the_modes_of_each_prior() -> None:
    assert TRUNCATION_MODES == {
        Prior.NORMAL: (TruncationMode.THRESHOLD, TruncationMode.SCALE),
        Prior.UNIFORM: (TruncationMode.SCALE,),
        Prior.SPHERE: (),
    }


@pytest.mark.parametrize(
    ("mode", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 5.001),
        ("threshold", -1.0),
        ("scale", -0.01),
        ("scale", 2.01),
        ("scale", math.nan),
        ("scale", math.inf),
        ("scale", "1"),
        ("scale", True),
        ("psi", 1.0),
    ],
)
def test_values_out_of_range_are_refused(mode: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Truncation(mode=mode, value=value)
