"""Distances between two clouds of feature vectors.

Shapes: N and M rows, F features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

NEIGHBOURS = 5


def frechet_distance(first_NF: Float64, second_MF: Float64) -> float:
    """Return |mu1 - mu2|² + tr(S1 + S2 - 2 (S1 S2)^½), the squared Fréchet distance of two normals.

    Source: Dowson and Landau 1982; used on features by Heusel et al. 2017. (In a space of our own
    it is no "FID", and does not compare with one.)
    """
    mean_term = np.sum((first_NF.mean(axis=0) - second_MF.mean(axis=0)) ** 2)
    first = np.cov(first_NF, rowvar=False)
    second = np.cov(second_MF, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # tr (S1 S2)^½ = tr (S1^½ S2 S1^½)^½, whose argument is symmetric.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ second @ root), 0, None)).sum()
    return float(mean_term + np.trace(first) + np.trace(second) - 2.0 * cross)


def squared_distances(first_NF: Float64, second_MF: Float64) -> Float64:
    """Return the squared Euclidean distance of every pair: ``[N, M]``."""
    squares = (first_NF**2).sum(axis=1)[:, None] + (second_MF**2).sum(axis=1)[None, :]
    return np.asarray(np.clip(squares - 2.0 * first_NF @ second_MF.T, 0.0, None))


def density_and_coverage(
    real_NF: Float64, drawn_MF: Float64, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Return density and coverage of draws about real samples (Naeem et al. 2020, equations 4 and 6).

    A real sample's ball reaches to its k-th nearest real neighbour. Density counts how many balls a
    draw lies in, over k (1 where the draws follow the real law); coverage is the share of balls with
    a draw inside. Needs more than k real samples.
    """
    if len(real_NF) <= neighbours:
        raise ValueError(f"density and coverage need more than {neighbours} real samples")
    among_real = squared_distances(real_NF, real_NF)
    np.fill_diagonal(among_real, 0.0)
    # The sample itself is its own nearest neighbour: position 0.
    radius_N = np.partition(among_real, neighbours, axis=1)[:, neighbours]
    inside_NM = squared_distances(real_NF, drawn_MF) < radius_N[:, None]
    density = inside_NM.sum(axis=0).mean() / neighbours
    coverage = inside_NM.any(axis=1).mean()
    return float(density), float(coverage)


def wasserstein_1d(first_N: Float64, second_M: Float64) -> float:
    """Return the Wasserstein-1 distance of two samples of numbers: the area between their quantiles."""
    levels = (np.arange(10_000) + 0.5) / 10_000
    return float(np.mean(np.abs(np.quantile(first_N, levels) - np.quantile(second_M, levels))))


def kolmogorov_smirnov(first_N: Float64, second_M: Float64) -> float:
    """Return the largest difference of the two empirical distribution functions."""
    points = np.concatenate([first_N, second_M])
    below_first = np.searchsorted(np.sort(first_N), points, side="right") / len(first_N)
    below_second = np.searchsorted(np.sort(second_M), points, side="right") / len(second_M)
    return float(np.abs(below_first - below_second).max())
