"""How two crowds of samples compare: ranks, distances, spread, dimension, coverage. Pure functions of arrays.

Shapes: N and M rows, P axes. ``groups_N`` are the classes within which samples are compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.doctor.space import Float

Groups = NDArray[np.int64]

_NEIGHBOURS = 5
_SMALLEST_GROUP = 4


def auc(higher_N: Float, lower_M: Float) -> float:
    """Return the chance that one of ``higher_N`` exceeds one of ``lower_M``, ties counted half.

    The area under the ROC curve (Mann and Whitney 1947): 0.5 if scores tell nothing, 1 if they tell all.
    It stays the same under any rising map of the scores, so it means the same for every loss.
    """
    ordered = np.sort(lower_M)
    below = np.searchsorted(ordered, higher_N, side="left")
    up_to = np.searchsorted(ordered, higher_N, side="right")
    return float((below + up_to).mean() / (2.0 * len(lower_M)))


def auc_error(rows_n: int, rows_m: int) -> float:
    """Return the standard error of an AUC of 0.5 between so many rows."""
    return float(np.sqrt((rows_n + rows_m + 1) / (12.0 * rows_n * rows_m)))


def distances(one_NP: Float, other_MP: Float) -> Float:
    """Return Euclidean distances, ``[N, M]``."""
    squares = (one_NP**2).sum(1)[:, None] + (other_MP**2).sum(1)[None] - 2.0 * one_NP @ other_MP.T
    return np.sqrt(np.maximum(squares, 0.0))


def spread(places_NP: Float) -> float:
    """Return the mean distance of two different rows."""
    count = len(places_NP)
    return float(distances(places_NP, places_NP).sum() / max(count * (count - 1), 1))


def energy_distance(drawn_NP: Float, real_MP: Float) -> float:
    """Return (2 E‖X - Y‖ - E‖X - X'‖ - E‖Y - Y'‖) / E‖Y - Y'‖ (Székely and Rizzo 2013), without bias.

    About 0 for two samples of one law, 0.4 if every draw is the mean of the real ones, 1 if every draw is the
    same real sample, more for noise. It needs no density and no feature network, and NaN stays NaN.
    """
    real = spread(real_MP)
    between = float(distances(drawn_NP, real_MP).mean())
    return (2.0 * between - spread(drawn_NP) - real) / max(real, 1e-12)


def nearest(places_NP: Float, among_MP: Float) -> float:
    """Return the median distance of a row from the nearest one of others."""
    return float(np.median(distances(places_NP, among_MP).min(axis=1)))


def coverage(drawn_NP: Float, real_MP: Float) -> float:
    """Return the share of real samples with a draw as near as their fifth neighbour (Naeem et al. 2020)."""
    among = np.sort(distances(real_MP, real_MP), axis=1)
    radii_M = among[:, min(_NEIGHBOURS, len(real_MP) - 1)]
    return float((distances(real_MP, drawn_NP).min(axis=1) <= radii_M).mean())


def neighbour_ratios(places_NP: Float) -> Float:
    """Return ln(second nearest / nearest distance) of each row that has no twin, ``[≤ N]``.

    Their mean is one over the dimension of what the rows lie on (Facco et al. 2017).
    """
    if len(places_NP) < 3:
        return np.empty(0)
    near = distances(places_NP, places_NP)
    np.fill_diagonal(near, np.inf)
    first, second = np.partition(near, 1, axis=1)[:, :2].T
    apart = first > 1e-9
    return np.log(second[apart] / first[apart])


def members(groups_N: Groups) -> list[NDArray[np.intp]]:
    """Return the rows of each group of at least four, or all rows where no group is as large."""
    rows = [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]
    return [some for some in rows if len(some) >= _SMALLEST_GROUP] or [np.arange(len(groups_N))]


def dimension(places_NP: Float, groups_N: Groups) -> float:
    """Return the dimension of what the rows of each group lie on, one figure for all groups; 0 for points."""
    ratios = np.concatenate([neighbour_ratios(places_NP[rows]) for rows in members(groups_N)])
    return float(1.0 / ratios.mean()) if len(ratios) and ratios.mean() > 0 else 0.0


def variety(labels_N: Groups) -> float:
    """Return how many classes the rows amount to: e to the entropy of their shares."""
    shares = np.unique(labels_N, return_counts=True)[1] / len(labels_N)
    return float(np.exp(-(shares * np.log(shares)).sum()))
