"""A cheap space to compare samples in: small pixels on their principal axes, with a linear reader of classes.

Shapes: N rows, F features, P principal axes, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.data.dataset import Part

Float = NDArray[np.float64]
Samples = NDArray[np.uint8] | NDArray[np.float32]

_EDGE = 16
"""Images are shrunk to at most this many pixels an edge: what fails in a game is seen at that size."""
_AXES = 32
_ROWS = 4096
_RIDGE = 1e-3


def features(samples: Samples) -> Float:
    """Return float64 ``[N, F]``: images as small levels in [0, 1], vectors as they are."""
    if samples.dtype != np.uint8:
        return samples.astype(np.float64)
    images = torch.from_numpy(np.ascontiguousarray(samples)).permute(0, 3, 1, 2).float().div_(255.0)
    size = (min(_EDGE, images.shape[2]), min(_EDGE, images.shape[3]))
    return functional.adaptive_avg_pool2d(images, size).flatten(1).double().numpy()


@dataclass(frozen=True)
class Space:
    """The principal axes of a training set (at most 32), in units of its mean deviation."""

    mean_F: Float
    axes_FP: Float

    @classmethod
    def of(cls, part: Part) -> Space:
        """Find the axes of up to 4,096 samples, evenly spread over the part."""
        rows = np.unique(np.linspace(0, len(part) - 1, min(len(part), _ROWS)).astype(np.intp))
        features_NF = features(part.samples[rows])
        mean_F = features_NF.mean(axis=0)
        centred = features_NF - mean_F
        values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
        axes_FP = vectors[:, ::-1][:, :_AXES]
        scale = float(np.sqrt(max(values.sum(), 0.0)))
        return cls(mean_F, axes_FP / (scale or 1.0))

    def place(self, samples: Samples) -> Float:
        """Return the samples' places, float64 ``[N, P]``."""
        return (features(samples) - self.mean_F) @ self.axes_FP


class Reader:
    """Linear discriminant analysis (Fisher 1936): reads a class from a place."""

    def __init__(self, places_NP: Float, labels_N: NDArray[np.int64]) -> None:
        self._classes, index_N = np.unique(labels_N, return_inverse=True)
        counts_K = np.bincount(index_N)
        sums_KP = np.zeros((len(self._classes), places_NP.shape[1]))
        np.add.at(sums_KP, index_N, places_NP)
        means_KP = sums_KP / counts_K[:, None]
        within = places_NP - means_KP[index_N]
        covariance = within.T @ within / len(places_NP)
        ridge = _RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12)
        covariance += ridge * np.eye(len(covariance))
        self._slopes_PK = np.linalg.solve(covariance, means_KP.T)
        self._offsets_K = np.log(counts_K / counts_K.sum()) - 0.5 * (means_KP.T * self._slopes_PK).sum(axis=0)

    def read(self, places_NP: Float) -> NDArray[np.int64]:
        """Return the likeliest class of each row, int64 ``[N]``."""
        return self._classes[(places_NP @ self._slopes_PK + self._offsets_K).argmax(axis=1)]
