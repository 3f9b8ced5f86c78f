"""The laws of latent arithmetic and interpolation, for arrays of any values.

Samples are drawn from fixed seeds, and bounds on them are six standard deviations wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.interpolate import CubicSpline
from scipy.stats import kstest

from service.latent_ops import (
    CancelledOut,
    UndefinedLatent,
    UndefinedSegment,
    WeightedMean,
    combine,
    interpolate,
    neighbours,
    path_points,
)

METHODS = ("slerp", "match", "linear", "cubic")
seeds = st.integers(0, 2**32 - 1)


def rows(least: int, most: int, dim: int = 3) -> st.SearchStrategy:
    """Float32 arrays of some rows, negative zeros and subnormal numbers among them."""
    shapes = st.tuples(st.integers(least, most), st.just(dim))
    return arrays.arrays(np.float32, shapes, elements=st.floats(-1e3, 1e3, width=32))


def normals(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def terms_of(*terms: tuple[float, Sequence]) -> list[WeightedMean]:
    return [WeightedMean(weight, np.array(latents, np.float32)) for weight, latents in terms]


def path(keyframes: np.ndarray, method: str, steps: int, *, loop: bool = False) -> np.ndarray:
    return interpolate(keyframes, path_points(len(keyframes), steps, loop=loop), method, loop=loop)


def is_standard_normal(draws: np.ndarray) -> bool:
    """Tell whether each column's mean and variance, and the law of all, are those of N(0, 1)."""
    count = len(draws)
    centred = np.abs(draws.mean(axis=0)).max() < 6 / math.sqrt(count)
    spread = np.abs(draws.var(axis=0) - 1).max() < 6 * math.sqrt(2 / count)
    return bool(centred and spread and kstest(draws.ravel(), "norm").pvalue > 1e-6)


@given(keyframes=rows(2, 6), method=st.sampled_from(METHODS), steps=st.integers(2, 5), loop=st.booleans())
def test_keyframes_are_met_to_the_bit(keyframes: np.ndarray, method: str, steps: int, *, loop: bool) -> None:
    """A zero may lose its sign, which no comparison sees."""
    before = keyframes.copy()
    try:
        drawn = path(keyframes, method, steps, loop=loop)
    except UndefinedLatent:
        reject()
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn[:: steps - 1], before)
    assert keyframes.tobytes() == before.tobytes()


@given(seeds, st.integers(2, 64), st.integers(2, 20), st.floats(0.1, 10))
def test_slerp_keeps_its_ends_norm_and_turns_evenly(seed: int, dim: int, steps: int, norm: float) -> None:
    ends = normals(seed, 2, dim).astype(np.float64)
    ends *= norm / np.linalg.norm(ends, axis=1, keepdims=True)
    between = math.acos(np.clip(ends[0] @ ends[1] / norm**2, -1, 1))
    assume(2e-2 < between < math.pi - 2e-2)
    drawn = path(ends.astype(np.float32), "slerp", steps).astype(np.float64)
    norms = np.linalg.norm(drawn, axis=1)
    assert np.abs(norms / norm - 1).max() < 1e-5
    unit = drawn / norms[:, None]
    turns = 2 * np.arcsin(np.linalg.norm(np.diff(unit, axis=0), axis=1) / 2)
    assert np.abs(turns - between / (steps - 1)).max() < 1e-4


@given(seed=seeds, count=st.integers(2, 6), steps=st.integers(2, 9), loop=st.booleans())
def test_linear_is_linear(seed: int, count: int, steps: int, *, loop: bool) -> None:
    keyframes = normals(seed, count, 3)
    ends = np.vstack([keyframes, keyframes[:1]]) if loop else keyframes
    drawn = path(keyframes, "linear", steps, loop=loop)
    places = np.arange(len(drawn)) / (steps - 1)
    expected = [np.interp(places, np.arange(len(ends)), column) for column in ends.T]
    assert np.abs(drawn - np.transpose(expected)).max() < 1e-6


@given(seed=seeds, count=st.integers(2, 12), steps=st.integers(2, 9), loop=st.booleans())
def test_cubic_is_the_natural_or_periodic_spline(seed: int, count: int, steps: int, *, loop: bool) -> None:
    """The one curve through all keyframes with two continuous derivatives, as another library finds it."""
    keyframes = normals(seed, count, 3)
    ends = np.vstack([keyframes, keyframes[:1]]) if loop else keyframes
    spline = CubicSpline(np.arange(len(ends)), ends, bc_type="periodic" if loop else "natural")
    drawn = path(keyframes, "cubic", steps, loop=loop)
    assert np.abs(drawn - spline(np.arange(len(drawn)) / (steps - 1))).max() < 1e-6


@given(rows(1, 1))
def test_equal_keyframes_stay_as_they_are(keyframes: np.ndarray) -> None:
    """Matching would swell them by 1.41 half-way: equal latents are not two independent ones."""
    still = np.concatenate([keyframes, keyframes + np.float32(0), keyframes])
    assert np.array_equal(path(still, "match", 4), np.repeat(keyframes, 7, axis=0))


@pytest.mark.parametrize(("method", "keeps"), [("match", True), ("linear", False)])
def test_match_keeps_the_priors_law_all_along_the_way(method: str, *, keeps: bool) -> None:
    steps = 6
    drawn = path(normals(1, 16_000, 3), method, steps)
    for step in range(1, steps - 1):
        # Every second segment, so that no keyframe serves twice.
        assert is_standard_normal(drawn[step :: 2 * (steps - 1)]) == keeps


def test_matched_sums_of_normals_are_standard_normal() -> None:
    """Whatever the weights, and with latents that stand in several terms or twice in one."""
    random = np.random.default_rng(8)
    draws = np.empty((8_000, 3), np.float32)
    for draw in draws:
        latents = random.standard_normal((5, 3)).astype(np.float32)
        weights = random.normal(scale=3, size=4)
        picks = [random.integers(0, 5, size) for size in (1, 2, 3, 7)]
        draw[:] = combine(terms_of(*zip(weights, (latents[pick] for pick in picks), strict=True)), "match")
    assert is_standard_normal(draws)


@pytest.mark.parametrize("scale", [1e-3, 0.25, 1.0, 4.0])
def test_neighbours_keep_the_law_at_the_documented_distance(scale: float) -> None:
    centres = normals(3, 20_000)
    noise = normals(4, 3, 20_000)
    around = neighbours(centres, noise, scale)
    assert around.dtype == np.float32
    assert is_standard_normal(around.T)
    for row in around:
        likeness = np.corrcoef(centres, row)[0, 1]
        assert abs(likeness - 1 / math.sqrt(1 + scale**2)) < 6 / math.sqrt(20_000)


@given(rows(1, 6))
def test_equal_terms_of_weights_1_and_minus_1_and_1_are_one_term(latents: np.ndarray) -> None:
    sum_of_three = combine(terms_of((1, latents), (-1, latents), (1, latents)), "none")
    assert np.array_equal(sum_of_three, combine(terms_of((1, latents)), "none"))
    mean = latents.astype(np.float64).mean(axis=0)
    assert np.abs(sum_of_three - mean).max() <= 1e-6 * max(1, np.abs(latents).max())


@pytest.mark.parametrize("normalize", ["match", "sphere", "none"])
def test_no_order_of_terms_or_references_changes_a_bit(normalize: str) -> None:
    """Nor of what cancels, of which only the rounding of floating point is left."""
    fixed = [
        (0.1, [[1, 2], [2, 1], [1, 2]]),
        (0.2, [[2, 1]]),
        (-0.3, [[1, 2], [3, 3], [2, 1]]),
        (0.1, [[3, 3]]),
    ]
    apart = [(0.1, [[1, 2]]), (0.1, [[2, 4]]), (-0.1, [[3, 6]])]
    for terms in (fixed, [(0.1, [[1, 2]]), (0.2, [[1, 2]]), (-0.3, [[1, 2]]), (1e-15, [[5, 5]])], apart):
        bits = set()
        for order in permutations(terms):
            for first in permutations(order[0][1]):
                try:
                    bits.add(combine(terms_of((order[0][0], first), *order[1:]), normalize).tobytes())
                except CancelledOut:
                    bits.add("cancelled")
        assert len(bits) == 1


@given(rows(1, 1), st.floats(1.01e-3, 1e3), st.integers(1, 7), st.integers(1, 3))
def test_a_matched_single_latent_is_itself_however_often_it_is_named(
    latent: np.ndarray, weight: float, times: int, terms: int
) -> None:
    repeated = np.repeat(latent, times, axis=0)
    for sign in (1, -1):
        named = terms_of(*[(sign * weight / terms, repeated)] * terms)
        assert np.array_equal(combine(named, "match"), sign * latent[0])


def test_latents_are_told_apart_by_their_float32_values() -> None:
    assert combine(terms_of((1, [[0.0, 2]]), (1, [[-0.0, 2]])), "match").tolist() == [0, 2]
    next_to_2 = np.nextafter(np.float32(2), np.float32(3))
    assert combine(terms_of((1, [[2]]), (1, [[next_to_2]])), "match") == pytest.approx([math.sqrt(8)])
    two_of_three = combine(terms_of((1, [[3, 0], [0, 3], [3, 0]])), "match")
    assert two_of_three == pytest.approx([6 / math.sqrt(5), 3 / math.sqrt(5)])


@given(seeds, st.integers(1, 200))
def test_sphere_has_the_norm_of_the_root_of_the_dimension(seed: int, dim: int) -> None:
    first, second, third = normals(seed, 3, dim)
    y = combine(terms_of((2, [first, third]), (-0.7, [second])), "sphere").astype(np.float64)
    assert np.linalg.norm(y) == pytest.approx(math.sqrt(dim), rel=1e-6)
    plain = combine(terms_of((2, [first, third]), (-0.7, [second])), "none").astype(np.float64)
    assert y @ plain == pytest.approx(np.linalg.norm(y) * np.linalg.norm(plain), rel=1e-6)


@pytest.mark.parametrize(
    ("normalize", "cancelled", "left"),
    [
        ("match", [(0.99e-3, [[1, 2]])], [(1.01e-3, [[1, 2]])]),
        ("match", [(1, [[1, 2]]), (-0.99901, [[1, 2]])], [(1, [[1, 2]]), (-0.99899, [[1, 2]])]),
        ("match", [(1.4e-3, [[1, 2], [2, 1]])], [(1.42e-3, [[1, 2], [2, 1]])]),
        ("sphere", [(0.99e-6, [[0, 1]])], [(1.01e-6, [[0, 1]])]),
        ("sphere", [(1, [[0, 1]]), (1, [[0, -1]])], [(1, [[0, 1]]), (1, [[1e-5, -1]])]),
        ("sphere", [(1, [[0, 0]])], [(1, [[0, 2e-6]])]),
    ],
)
def test_terms_that_cancel_one_another_are_refused(
    normalize: str, cancelled: list[tuple[float, list]], left: list[tuple[float, list]]
) -> None:
    with pytest.raises(CancelledOut):
        combine(terms_of(*cancelled), normalize)
    assert np.isfinite(combine(terms_of(*left), normalize)).all()
    assert np.isfinite(combine(terms_of(*cancelled), "none")).all()


@given(count=st.integers(2, 64), steps=st.integers(2, 40), loop=st.booleans())
def test_a_path_has_the_documented_points(count: int, steps: int, *, loop: bool) -> None:
    points = path_points(count, steps, loop=loop)
    assert len(points) == (count * (steps - 1) if loop else (count - 1) * (steps - 1) + 1)
    assert [point.keyframe for point in points if point.keyframe is not None] == [*range(count)]
    places = [point.first + point.t for point in points]
    assert places == pytest.approx([number / (steps - 1) for number in range(len(points))])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_loop_returns_to_its_start_without_repeating_it(method: str, count: int) -> None:
    keyframes = normals(5, count, 4)
    drawn = path(keyframes, method, 200, loop=True).astype(np.float64)
    assert (drawn[1:] != drawn[0]).any(axis=1).all()
    leaps = np.linalg.norm(np.roll(drawn, -1, axis=0) - drawn, axis=1)
    assert leaps[-1] < 3 * np.median(leaps)


@pytest.mark.parametrize(
    ("keyframes", "at_fault"),
    [
        ([[1, 2], [-1, -2]], 1),
        ([[1, 0], [0, 1], [0, -3]], 2),
        ([[1, 0], [-math.cos(0.9e-4), math.sin(0.9e-4)]], 1),
        ([[0, 0], [1, 2]], 0),
        ([[1, 2], [2, 1], [0, -0.0]], 2),
        ([[1], [2]], 1),
        ([[1], [1]], 1),
    ],
)
def test_slerp_refuses_ends_without_one_way_between_them(keyframes: list, at_fault: int) -> None:
    ends = np.array(keyframes, np.float32)
    with pytest.raises(UndefinedSegment) as raised:
        path(ends, "slerp", 4)
    assert raised.value.keyframe == at_fault
    for method in ("match", "linear", "cubic"):
        assert np.isfinite(path(ends, method, 4)).all()


def test_slerp_goes_between_ends_that_are_nearly_opposite() -> None:
    ends = np.array([[1, 0], [-math.cos(1.1e-4), math.sin(1.1e-4)]], np.float32)
    # Their norms differ in float32's last bit, and so large an angle shows it a thousandfold.
    assert np.abs(np.linalg.norm(path(ends, "slerp", 9), axis=1) - 1).max() < 1e-4


@pytest.mark.parametrize("angle", [0, 1e-7, 0.9e-4, 1.1e-4, 1e-2])
@pytest.mark.parametrize("stretch", [1, 50])
def test_slerp_is_linear_for_the_smallest_angles_only(angle: float, stretch: float) -> None:
    ends = np.array([[1, 0], [stretch * math.cos(angle), stretch * math.sin(angle)]], np.float32)
    difference = np.abs(path(ends, "slerp", 7) - path(ends, "linear", 7)).max()
    assert (difference < 1e-6 * stretch) == (angle < 1e-3)


def test_results_above_1e4_in_size_are_refused() -> None:
    assert combine(terms_of((1e4, [[1, -1]])), "none").tolist() == [1e4, -1e4]
    high = np.array([[-1e4], [1e4], [1e4], [-1e4]], np.float32)
    assert path(high, "linear", 9).max() == 1e4
    for refused in (
        lambda: combine(terms_of((1.0001e4, [[0, -1]])), "none"),
        lambda: neighbours(high[1], high[1:2], 1.0),
        lambda: path(high, "cubic", 9),
    ):
        with pytest.raises(UndefinedLatent, match="10000"):
            refused()


@pytest.mark.parametrize("normalize", ["match", "sphere", "none"])
def test_a_sum_is_float32_and_its_inputs_stay_as_they_are(normalize: str) -> None:
    latents, noise = normals(6, 3, 4), normals(7, 2, 4)
    latents[0, 0] = -0.0
    before = latents.tobytes(), noise.tobytes()
    result = combine([WeightedMean(2.5, latents), WeightedMean(-1, latents[:1])], normalize)
    assert (result.dtype, result.shape) == (np.float32, (4,))
    neighbours(latents[0], noise, 0.5)
    assert (latents.tobytes(), noise.tobytes()) == before
