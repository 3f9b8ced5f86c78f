"""Each metric is what its source defines, on clouds whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.dataset import Part
from training.evaluation.distances import (
    density_and_coverage,
    frechet_distance,
    kernel_distance,
    kolmogorov_smirnov,
    wasserstein_1d,
)
from training.evaluation.modes import Clusters, covered_share, k_means
from training.evaluation.neighbours import Memorisation, nearest
from training.evaluation.selection import rows_like, spread


@pytest.fixture
def random() -> np.random.Generator:
    """Return numbers that are the same in every run and in every order of the tests."""
    return np.random.default_rng(3)


def test_the_frechet_distance_of_two_normals_is_known(random: np.random.Generator) -> None:
    """For diagonal covariances: |m1 - m2|² + Σ (s1 - s2)²."""
    cloud = random.standard_normal((4000, 3))
    cloud = (cloud - cloud.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(cloud, rowvar=False))).T
    other = cloud * np.array([2.0, 1.0, 0.5]) + np.array([1.0, 0.0, -2.0])
    assert frechet_distance(cloud, other) == pytest.approx(5 + 1 + 0.25, rel=1e-6)
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-8)


def test_the_frechet_distance_agrees_with_a_general_matrix_root(random: np.random.Generator) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    first = random.standard_normal((300, 6)) @ random.standard_normal((6, 6))
    second = random.standard_normal((200, 6)) @ random.standard_normal((6, 6)) + 0.5
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = np.real(linalg.sqrtm(covariances[0] @ covariances[1]))
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_one_feature_is_enough_for_a_frechet_distance(random: np.random.Generator) -> None:
    cloud = random.standard_normal((50, 1))
    assert frechet_distance(cloud, cloud + 2) == pytest.approx(4)


@given(seed=st.integers(0, 50), rows=st.integers(2, 12), others=st.integers(2, 12))
def test_the_kernel_distance_follows_its_definition(seed: int, rows: int, others: int) -> None:
    """Mean over pairs of different rows of each kind, less twice the mean over pairs of both."""
    random = np.random.default_rng(seed)
    first, second = random.standard_normal((rows, 3)), random.standard_normal((others, 3)) + 0.5

    def mean(xs: np.ndarray, ys: np.ndarray, *, same: bool) -> float:
        pairs = [
            (x @ y / 3 + 1) ** 3 for i, x in enumerate(xs) for j, y in enumerate(ys) if not (same and i == j)
        ]
        return float(np.mean(pairs))

    expected = mean(first, first, same=True) + mean(second, second, same=True)
    expected -= 2 * mean(first, second, same=False)
    assert kernel_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_the_kernel_distance_agrees_with_sklearns_kernel(random: np.random.Generator) -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    first, second = random.standard_normal((60, 8)), random.standard_normal((40, 8)) * 1.5
    kernel = {"degree": 3, "coef0": 1}
    within = [pairwise.polynomial_kernel(cloud, **kernel) for cloud in (first, second)]
    expected = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in within)
    expected -= 2 * pairwise.polynomial_kernel(first, second, **kernel).mean()
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_of_one_law_is_zero_on_average_whatever_the_size(
    random: np.random.Generator,
) -> None:
    """Unbiased: few samples scatter about 0, where a biased estimate would lie above it."""
    draws = [kernel_distance(*random.standard_normal((2, 20, 4))) for _ in range(400)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))
    assert min(draws) < 0
    assert kernel_distance(random.standard_normal((200, 4)), random.standard_normal((200, 4)) + 3) > 10


def test_the_kernel_distance_needs_pairs() -> None:
    with pytest.raises(ValueError, match="two samples"):
        kernel_distance(np.zeros((1, 2)), np.zeros((5, 2)))


def _by_the_book(real: np.ndarray, drawn: np.ndarray, k: int) -> tuple[float, float]:
    radius = [sorted(np.linalg.norm(real - point, axis=1))[k] for point in real]
    inside = np.array([[np.linalg.norm(x - y) < r for y in drawn] for x, r in zip(real, radius, strict=True)])
    return inside.sum() / (k * len(drawn)), inside.any(axis=1).mean()


@given(seed=st.integers(0, 50), k=st.integers(1, 5))
def test_density_and_coverage_follow_their_definition(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    real, drawn = random.standard_normal((12, 2)), random.standard_normal((9, 2)) + 0.5
    assert density_and_coverage(real, drawn, k) == pytest.approx(_by_the_book(real, drawn, k))


def test_coverage_sees_a_lost_mode_and_density_does_not_reward_it(random: np.random.Generator) -> None:
    modes = np.repeat([[0.0, 0.0], [50.0, 0.0]], 200, axis=0)
    real = modes + random.standard_normal((400, 2))
    whole = modes + random.standard_normal((400, 2))
    collapsed = random.standard_normal((400, 2))
    assert density_and_coverage(real, whole)[1] > 0.9
    assert density_and_coverage(real, collapsed)[1] < 0.55


def test_more_real_samples_than_a_block_are_one_set(random: np.random.Generator) -> None:
    """Matrices of pairs are made in pieces; the pieces are not seen in the figures."""
    real, drawn = random.standard_normal((1001, 2)), random.standard_normal((50, 2))
    assert density_and_coverage(real, drawn) == pytest.approx(_by_the_book(real, drawn, 5))


def test_coverage_needs_more_real_samples_than_neighbours() -> None:
    with pytest.raises(ValueError, match="more than 5"):
        density_and_coverage(np.zeros((5, 2)), np.zeros((5, 2)))


def test_distances_of_numbers() -> None:
    first = np.linspace(0, 1, 1001)
    assert wasserstein_1d(first, first + 0.25) == pytest.approx(0.25)
    assert wasserstein_1d(first, first) == 0
    assert kolmogorov_smirnov(first, first) == 0
    assert kolmogorov_smirnov(first, first + 0.25) == pytest.approx(0.25, abs=0.002)
    assert kolmogorov_smirnov(first, first + 2) == 1


def test_distances_of_numbers_agree_with_scipy(random: np.random.Generator) -> None:
    stats = pytest.importorskip("scipy.stats")
    first, second = random.standard_normal(7000), random.standard_normal(4000) * 1.3 + 0.2
    assert wasserstein_1d(first, second) == pytest.approx(stats.wasserstein_distance(first, second), rel=0.01)
    assert kolmogorov_smirnov(first, second) == pytest.approx(stats.ks_2samp(first, second).statistic)


@given(seed=st.integers(0, 30), count=st.integers(1, 4), copies=st.booleans())
def test_nearest_neighbours_are_those_of_a_full_search(seed: int, count: int, copies: bool) -> None:  # noqa: FBT001 - drawn
    random = np.random.default_rng(seed)
    points = random.integers(0, 256, (9, 2, 2, 1), dtype=np.uint8)
    queries = points[[3, 5]] if copies else random.integers(0, 256, (4, 2, 2, 1), dtype=np.uint8)
    flat = [array.reshape(len(array), -1).astype(float) for array in (queries, points)]
    full = np.linalg.norm(flat[0][:, None] - flat[1][None], axis=2)
    distances, rows = nearest(queries, points, count)
    assert distances == pytest.approx(np.sort(full, axis=1)[:, :count])
    assert np.take_along_axis(full, rows, axis=1) == pytest.approx(distances)
    if copies:
        assert distances[:, 0].tolist() == [0.0, 0.0]


def test_a_point_is_not_its_own_neighbour_where_that_is_asked_for() -> None:
    points = np.array([[0.0], [1.0], [3.0]])
    distances, rows = nearest(points[[2, 0]], points, 1, own_rows_N=np.array([2, 0]))
    assert distances[:, 0].tolist() == [2.0, 1.0]
    assert rows[:, 0].tolist() == [1, 1]
    with pytest.raises(ValueError, match="3 neighbours"):
        nearest(points, points, 3, own_rows_N=np.arange(3))


def test_more_points_than_a_block_are_one_set() -> None:
    points = np.arange(4500.0)[:, None]
    distances, rows = nearest(np.array([[4321.2], [7.0]]), points, 2)
    assert rows.tolist() == [[4321, 4322], [7, 6]] or rows.tolist() == [[4321, 4322], [7, 8]]
    assert distances[:, 0] == pytest.approx([0.2, 0.0], abs=1e-6)


def test_copies_are_told_from_new_samples(random: np.random.Generator) -> None:
    training, held_out, new = random.standard_normal((3, 400, 6))
    yardstick = Memorisation.against("features", training, held_out)
    fresh = yardstick.figures(new)
    copied = yardstick.figures(training[:100] + 1e-4)
    assert fresh["nearest_training_features"] == pytest.approx(1, abs=0.1)
    assert fresh["near_copies_features"] < 0.05
    assert copied["nearest_training_features"] < 0.001
    assert copied["near_copies_features"] == 1


def test_real_training_samples_are_no_copies_of_themselves(random: np.random.Generator) -> None:
    training, held_out = random.standard_normal((2, 400, 6))
    figures = Memorisation.against("features", training, held_out).figures(
        training[10:60], own_rows_N=np.arange(10, 60)
    )
    assert figures["nearest_training_features"] == pytest.approx(1, abs=0.15)
    assert figures["near_copies_features"] < 0.1


def test_without_new_held_out_samples_there_is_no_ratio(random: np.random.Generator) -> None:
    training = random.standard_normal((20, 3))
    figures = Memorisation.against("pixels", training, training[:10]).figures(training[5:9])
    assert figures == {"near_copies_pixels": 1.0}


def test_a_mode_is_covered_by_a_tenth_of_its_share() -> None:
    real = np.array([50, 30, 20, 0])
    assert covered_share(real, real * 3) == 1
    assert covered_share(real, np.array([100, 0, 0, 0])) == pytest.approx(1 / 3)
    assert covered_share(real, np.array([96, 2, 2, 0])) == pytest.approx(2 / 3)
    assert covered_share(real, np.array([0, 0, 0, 10])) == 0


def test_k_means_finds_separate_clouds_and_is_always_the_same(random: np.random.Generator) -> None:
    truth = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0]])
    points = np.repeat(truth, 50, axis=0) + random.standard_normal((200, 2))
    centres = k_means(points, 4)
    assert np.array_equal(centres, k_means(points.copy(), 4))
    assert sorted(np.rint(centres / 20).tolist()) == sorted((truth / 20).tolist())


def test_k_means_of_equal_points_is_those_points() -> None:
    assert k_means(np.ones((6, 2)), 3).tolist() == [[1.0, 1.0]] * 3


def test_clusters_see_the_variant_that_is_never_drawn(random: np.random.Generator) -> None:
    """Half of the clouds are never drawn: about half of the clusters are not covered."""
    clouds = random.standard_normal((20, 4)) * 50
    training = np.repeat(clouds, 30, axis=0) + random.standard_normal((600, 4))
    clusters = Clusters.of(training, held_out=200)
    assert len(clusters.centres) == 20
    assert clusters.covered(training + 0.1) == 1
    assert clusters.covered(training[:300]) == pytest.approx(0.5, abs=0.15)


@given(available=st.integers(1, 50), wanted=st.integers(1, 120))
def test_rows_are_spread_evenly(available: int, wanted: int) -> None:
    rows = spread(available, wanted)
    assert len(rows) == wanted
    assert rows.min() >= 0
    assert rows.max() < available
    counts = np.bincount(rows, minlength=available)
    assert counts.max() - counts.min() <= 1
    if wanted == available:
        assert rows.tolist() == list(range(available))


def test_rows_are_chosen_in_the_same_classes() -> None:
    part = Part(np.zeros((6, 1, 1, 1), np.uint8), np.array([1, 0, 1, 0, 1, 0]))
    assert rows_like(part, np.array([1, 1, 0]), 3).tolist() == [1, 0, 2]
    assert rows_like(part, None, 4).tolist() == [0, 1, 2, 3]
