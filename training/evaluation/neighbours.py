"""Nearest training samples: which they are, and whether draws lie nearer to them than new images do.

Shapes: N queries, P points, F features, k neighbours; pixels may be given as they are, ``[N, H, W, C]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.distances import Float64, blocks, squared_distances

Vectors = NDArray[np.uint8] | Float64
Rows = NDArray[np.intp]

_QUANTILE = 0.01
_BLOCK_ELEMENTS = 2**23
_LARGEST_BLOCK = 2000


def _flat(vectors: Vectors) -> Float64:
    return np.asarray(vectors, np.float64).reshape(len(vectors), -1)


def nearest(
    queries: Vectors, points: Vectors, count: int = 1, own_rows_N: Rows | None = None
) -> tuple[Float64, Rows]:
    """Return the distances ``[N, k]`` to the k nearest points, rising, and their rows ``[N, k]``.

    ``own_rows_N`` are the rows where the queries stand among the points themselves: a query is not
    its own neighbour. Distances of pixels are exact. Needs k points, or k + 1 with own rows.
    """
    if len(points) < count + (own_rows_N is not None):
        raise ValueError(f"{count} neighbours cannot be found among {len(points)} points")
    width = max(1, int(np.prod(points.shape[1:])))
    size = max(1, min(_LARGEST_BLOCK, _BLOCK_ELEMENTS // width))
    best_Nk = np.full((len(queries), count), np.inf)
    rows_Nk = np.zeros((len(queries), count), np.intp)
    for asked in blocks(len(queries), size):
        some = _flat(queries[asked])
        for among in blocks(len(points), size):
            found = squared_distances(some, _flat(points[among]))
            if own_rows_N is not None:
                found[own_rows_N[asked, None] == np.arange(among.start, among.stop)] = np.inf
            merged = np.concatenate([best_Nk[asked], found], axis=1)
            new = np.broadcast_to(np.arange(among.start, among.stop), found.shape)
            merged_rows = np.concatenate([rows_Nk[asked], new], axis=1)
            chosen = np.argpartition(merged, count - 1, axis=1)[:, :count]
            best_Nk[asked] = np.take_along_axis(merged, chosen, axis=1)
            rows_Nk[asked] = np.take_along_axis(merged_rows, chosen, axis=1)
    order = np.argsort(best_Nk, axis=1, kind="stable")
    return np.sqrt(np.take_along_axis(best_Nk, order, axis=1)), np.take_along_axis(rows_Nk, order, axis=1)


@dataclass(frozen=True)
class Memorisation:
    """A yardstick against copies: how far new real images lie from the training images, in one space.

    ``median`` and ``close`` are the median and the first percentile of the distance from a held-out
    image to the nearest training image.
    """

    space: str
    points: Vectors
    median: float
    close: float

    @classmethod
    def against(cls, space: str, training: Vectors, held_out: Vectors) -> Memorisation:
        """Measure how far held-out samples lie from the training samples."""
        distances = nearest(held_out, training)[0][:, 0]
        return cls(space, training, float(np.median(distances)), float(np.quantile(distances, _QUANTILE)))

    def figures(self, samples: Vectors, own_rows_N: Rows | None = None) -> dict[str, float]:
        """Return the samples' median distance over the held-out images', and the share of near copies.

        About 1 and 0.01 for new real images; a generator that copies goes to 0 and 1. The share is
        of samples at most as far from a training image as the nearest hundredth of held-out images.
        Where half the held-out images are copies of training images there is no yardstick, and no ratio.
        """
        distances = nearest(samples, self.points, own_rows_N=own_rows_N)[0][:, 0]
        figures = {f"near_copies_{self.space}": float(np.mean(distances <= self.close))}
        if self.median > 0:
            figures[f"nearest_training_{self.space}"] = float(np.median(distances)) / self.median
        return figures
