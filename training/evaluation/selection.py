"""Which real samples stand for all of them: evenly chosen, and in the same classes.

Shapes: N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Part


def spread(available: int, wanted: int) -> NDArray[np.intp]:
    """Return ``wanted`` rows out of ``available``, evenly spread, in order.

    All of them, once each, if as many are wanted; some more than once if more are wanted.
    """
    return ((np.arange(wanted) + 0.5) * available / wanted).astype(np.intp)


def spread_over_classes(part: Part, wanted: int) -> NDArray[np.intp]:
    """Return ``wanted`` rows of a part, evenly spread over its classes, in order."""
    rows = spread(len(part), wanted)
    if part.labels is None:
        return rows
    return np.sort(np.argsort(part.labels, kind="stable")[rows])


def rows_like(part: Part, labels_N: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
    """Choose rows of a part: of each class as many as ``labels_N`` has, the first ones there are."""
    if labels_N is None or part.labels is None:
        return np.arange(min(count, len(part)))
    classes, counts = np.unique(labels_N, return_counts=True)
    chosen = [
        np.flatnonzero(part.labels == label)[:wanted] for label, wanted in zip(classes, counts, strict=True)
    ]
    return np.concatenate(chosen)


def noise_like(part: Part, count: int) -> NDArray[np.uint8]:
    """Return images of uniform noise, uint8 ``[N, H, W, C]``: what no generator should be as bad as.

    They are the same for every evaluation, whatever its seed.
    """
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, *part.samples.shape[1:]), dtype=np.uint8)
