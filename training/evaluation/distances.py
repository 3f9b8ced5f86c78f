"""Distances between two clouds of feature vectors.

Shapes: N and M rows, F features.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

NEIGHBOURS = 5
_BLOCK = 1000
"""Rows of a matrix of pairs that are held at a time: whole matrices of large sets would not fit."""


def frechet_distance(first_NF: Float64, second_MF: Float64) -> float:
    """Return |mu1 - mu2|² + tr(S1 + S2 - 2 (S1 S2)^½), the squared Fréchet distance of two normals.

    Source: Dowson and Landau 1982; used on features by Heusel et al. 2017. (In a space of our own
    it is no "FID", and does not compare with one.)
    """
    mean_term = np.sum((first_NF.mean(axis=0) - second_MF.mean(axis=0)) ** 2)
    first = np.atleast_2d(np.cov(first_NF, rowvar=False))
    second = np.atleast_2d(np.cov(second_MF, rowvar=False))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # tr (S1 S2)^½ = tr (S1^½ S2 S1^½)^½, whose argument is symmetric.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ second @ root), 0, None)).sum()
    return float(mean_term + np.trace(first) + np.trace(second) - 2.0 * cross)


def kernel_distance(first_NF: Float64, second_MF: Float64) -> float:
    """Return the unbiased squared maximum mean discrepancy with the kernel k(x, y) = (x·y / F + 1)³.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", there on Inception's features and averaged
    over subsets; here over all pairs at once, which is the estimate of least variance. Unbiased:
    two samples of one law give 0 on average, and may give less. Needs two rows of each.
    """
    count, other = len(first_NF), len(second_MF)
    if min(count, other) < 2:
        raise ValueError("a kernel distance needs two samples of each kind")
    within_first = (_kernel_sum(first_NF, first_NF) - _kernel_diagonal(first_NF)) / (count * (count - 1))
    within_second = (_kernel_sum(second_MF, second_MF) - _kernel_diagonal(second_MF)) / (other * (other - 1))
    return float(within_first + within_second - 2.0 * _kernel_sum(first_NF, second_MF) / (count * other))


def _kernel_sum(first_NF: Float64, second_MF: Float64) -> float:
    features = first_NF.shape[1]
    return float(
        sum(((first_NF[rows] @ second_MF.T / features + 1.0) ** 3).sum() for rows in blocks(len(first_NF)))
    )


def _kernel_diagonal(points_NF: Float64) -> float:
    return float((((points_NF**2).sum(axis=1) / points_NF.shape[1] + 1.0) ** 3).sum())


def blocks(count: int, size: int = _BLOCK) -> Iterator[slice]:
    """Yield the rows 0 to ``count`` in pieces."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


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
    balls, covered = 0, 0
    for rows in blocks(len(real_NF)):
        among_real = squared_distances(real_NF[rows], real_NF)
        among_real[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = 0.0
        # The sample itself is its own nearest neighbour: position 0.
        radius = np.partition(among_real, neighbours, axis=1)[:, neighbours]
        inside = squared_distances(real_NF[rows], drawn_MF) < radius[:, None]
        balls += int(inside.sum())
        covered += int(inside.any(axis=1).sum())
    return balls / (neighbours * len(drawn_MF)), covered / len(real_NF)


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
