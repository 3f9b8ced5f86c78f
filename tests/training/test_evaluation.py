"""Distances are what their sources define, and a report sets the draws beside real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.latents import Prior
from training.data import Dataset, load_dataset
from training.errors import DataError
from training.evaluation import evaluate
from training.evaluation.classifier import judge_for
from training.evaluation.distances import (
    density_and_coverage,
    frechet_distance,
    kolmogorov_smirnov,
    wasserstein_1d,
)
from training.networks import GeneratorSpec
from training.sampling import Sampler

RANDOM = np.random.default_rng(3)


def test_the_frechet_distance_of_two_normals_is_known() -> None:
    """For diagonal covariances: |m1 - m2|² + Σ (s1 - s2)²."""
    cloud = RANDOM.standard_normal((4000, 3))
    cloud = (cloud - cloud.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(cloud, rowvar=False))).T
    other = cloud * np.array([2.0, 1.0, 0.5]) + np.array([1.0, 0.0, -2.0])
    assert frechet_distance(cloud, other) == pytest.approx(5 + 1 + 0.25, rel=1e-6)
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-8)


def test_the_frechet_distance_agrees_with_a_general_matrix_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    first = RANDOM.standard_normal((300, 6)) @ RANDOM.standard_normal((6, 6))
    second = RANDOM.standard_normal((200, 6)) @ RANDOM.standard_normal((6, 6)) + 0.5
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = np.real(linalg.sqrtm(covariances[0] @ covariances[1]))
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def _by_the_book(real: np.ndarray, drawn: np.ndarray, k: int) -> tuple[float, float]:
    radius = [sorted(np.linalg.norm(real - point, axis=1))[k] for point in real]
    inside = np.array([[np.linalg.norm(x - y) < r for y in drawn] for x, r in zip(real, radius, strict=True)])
    return inside.sum() / (k * len(drawn)), inside.any(axis=1).mean()


@given(seed=st.integers(0, 50), k=st.integers(1, 5))
def test_density_and_coverage_follow_their_definition(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    real, drawn = random.standard_normal((12, 2)), random.standard_normal((9, 2)) + 0.5
    assert density_and_coverage(real, drawn, k) == pytest.approx(_by_the_book(real, drawn, k))


def test_coverage_sees_a_lost_mode_and_density_does_not_reward_it() -> None:
    modes = np.repeat([[0.0, 0.0], [50.0, 0.0]], 200, axis=0)
    real = modes + RANDOM.standard_normal((400, 2))
    whole = modes + RANDOM.standard_normal((400, 2))
    collapsed = RANDOM.standard_normal((400, 2))
    assert density_and_coverage(real, whole)[1] > 0.9
    assert density_and_coverage(real, collapsed)[1] < 0.55


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


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


def _replay(dataset: Dataset, *, shuffle: bool) -> Sampler:
    """Return a sampler that draws training images of the class asked for, or of the next class."""
    part = dataset.part(held_out=False)
    spec = GeneratorSpec(4, dataset.classes, dataset.output)

    def run(latent: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        labels = (weights.argmax(axis=1) + shuffle) % 10
        rank = (np.abs(latent[:, 0]) * 1e5).astype(int)
        rows = [np.flatnonzero(part.labels == label) for label in labels]
        chosen = [members[r % len(members)] for members, r in zip(rows, rank, strict=True)]
        return part.samples[chosen].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1

    return Sampler(run, spec, Prior.NORMAL)


def test_real_images_replayed_are_as_good_as_real(digits: Dataset, cache: Path) -> None:
    report = evaluate(_replay(digits, shuffle=False), digits, cache)
    generated, real = report.rows["generated"], report.rows["real"]
    assert real["class_accuracy"] > 0.95
    assert generated["class_accuracy"] > 0.97
    assert generated["coverage"] > 0.85 * real["coverage"]
    assert generated["cas"] > real["cas"] - 0.05
    assert report.feature_space["classifier_held_out_accuracy"] == real["class_accuracy"]


def test_ignored_labels_are_seen(digits: Dataset, cache: Path) -> None:
    """The same images under the wrong class: the distances stay, accuracy and CAS fall."""
    report = evaluate(_replay(digits, shuffle=True), digits, cache)
    assert report.rows["generated"]["class_accuracy"] < 0.05
    assert report.rows["generated"]["cas"] < 0.05
    assert report.rows["generated"]["coverage"] > 0.8


def test_the_judge_is_trained_once_and_kept(digits: Dataset, cache: Path) -> None:
    first, second = judge_for(digits, cache), judge_for(digits, cache)
    assert first.digest == second.digest
    assert first.held_out_accuracy == second.held_out_accuracy


def test_too_few_held_out_samples_are_refused(digits: Dataset, cache: Path) -> None:
    few = Dataset("few", digits.samples[:10], None, None, np.arange(10) < 2)
    spec = GeneratorSpec(4, None, few.output)
    with pytest.raises(DataError, match="held-out"):
        evaluate(Sampler(lambda latent, _: latent, spec, Prior.NORMAL), few, cache)
