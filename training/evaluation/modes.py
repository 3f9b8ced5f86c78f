"""Modes: what kinds of real images there are, and how many of them are drawn at all.

Shapes: N rows, M modes, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.distances import Float64, blocks, squared_distances
from training.evaluation.selection import spread

_ROUNDS = 50
_SEED = 0
_CANDIDATES = 6
_LARGEST_SAMPLE = 10_000
_HELD_OUT_PER_CLUSTER = 10
_MOST_CLUSTERS = 100
_COVERED = 0.1


def covered_share(real_M: NDArray[np.int64], drawn_M: NDArray[np.int64]) -> float:
    """Return the share of modes that draws cover, from how many real and drawn samples fell in each.

    A mode counts as covered if its share of the draws is at least a tenth of its share of the real
    samples. A single stray draw does not do: a classifier that errs on one image in a hundred would
    see a class that is never drawn. Modes without real samples do not count.
    """
    there = real_M > 0
    wanted = _COVERED * real_M[there] / real_M.sum()
    return float(np.mean(drawn_M[there] / max(1, drawn_M.sum()) >= wanted))


def k_means(points_NF: Float64, count: int) -> Float64:
    """Return ``count`` centres ``[M, F]`` (Lloyd 1982).

    They begin as in Arthur and Vassilvitskii 2007, each the best of a few candidates, since one alone may
    fall beside a centre that is there. Always the same for the same points. Needs a point or more.
    """
    random = np.random.default_rng(_SEED)
    centres = points_NF[[int(random.integers(len(points_NF)))]]
    least_N = squared_distances(points_NF, centres)[:, 0]
    while len(centres) < count:
        total = least_N.sum()
        weights = None if total == 0 else least_N / total
        candidates = points_NF[random.choice(len(points_NF), _CANDIDATES, p=weights)]
        new_NC = np.minimum(least_N[:, None], squared_distances(points_NF, candidates))
        best = int(new_NC.sum(axis=0).argmin())
        centres, least_N = np.concatenate([centres, candidates[[best]]]), new_NC[:, best]
    before = None
    for _ in range(_ROUNDS):
        members_N = _nearest_centre(points_NF, centres)
        if before is not None and np.array_equal(before, members_N):
            break
        before = members_N
        for mode in np.unique(members_N):  # a centre that lost all its points stays where it is
            centres[mode] = points_NF[members_N == mode].mean(axis=0)
    return centres


def _nearest_centre(points_NF: Float64, centres_MF: Float64) -> NDArray[np.intp]:
    pieces = [
        squared_distances(points_NF[rows], centres_MF).argmin(axis=1) for rows in blocks(len(points_NF))
    ]
    return np.concatenate(pieces)


@dataclass(frozen=True)
class Clusters:
    """The training images in clusters of their features: modes that need no labels.

    Finer than classes, so that a class of which one variant is drawn only is seen. There is a
    cluster for every ten held-out images, from 2 to 100: draws of the real law, as many as are held out,
    miss a cluster of mean size with a chance of about exp(-10).
    """

    centres: Float64
    real_M: NDArray[np.int64]

    @classmethod
    def of(cls, training_NF: Float64, held_out: int) -> Clusters:
        """Cluster the training features (of large sets, 10,000 evenly chosen)."""
        sample = training_NF[spread(len(training_NF), min(len(training_NF), _LARGEST_SAMPLE))]
        count = min(max(2, held_out // _HELD_OUT_PER_CLUSTER), _MOST_CLUSTERS, len(sample))
        centres = k_means(sample, count)
        return cls(centres, np.bincount(_nearest_centre(sample, centres), minlength=count))

    def covered(self, features_NF: Float64) -> float:
        """Return the share of clusters that samples of these features cover."""
        drawn_M = np.bincount(_nearest_centre(features_NF, self.centres), minlength=len(self.centres))
        return covered_share(self.real_M, drawn_M)
