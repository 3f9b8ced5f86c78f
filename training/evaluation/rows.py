"""The table's rows for images: the same figures for draws, for real images and for noise.

Shapes: N rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Part
from training.evaluation.classifier import Judge, predict
from training.evaluation.distances import density_and_coverage, frechet_distance, kernel_distance
from training.evaluation.modes import Clusters, covered_share
from training.evaluation.neighbours import Memorisation
from training.evaluation.spaces import Space

Row = dict[str, float]


@dataclass(frozen=True)
class Images:
    """Images to measure, uint8 ``[N, H, W, C]``; ``own_rows`` says where they stand in the training part."""

    pixels: NDArray[np.uint8]
    own_rows: NDArray[np.intp] | None = None


class Yardsticks:
    """What a data set is measured by in one space, made once for all rows."""

    def __init__(self, space: Space, training: Part, held_out: Part) -> None:
        pixels = np.asarray(training.samples, np.uint8)
        new = np.asarray(held_out.samples, np.uint8)
        training_NF = space.features(pixels)
        self._space, self._held_out = space, held_out
        self._reference_NF = space.features(new)
        self._clusters = Clusters.of(training_NF, len(held_out))
        self._copies = (
            Memorisation.against("pixels", pixels, new),
            Memorisation.against("features", training_NF, self._reference_NF),
        )

    @property
    def clusters(self) -> int:
        """How many clusters the training images fall in."""
        return len(self._clusters.centres)

    def row(self, images: Images) -> Row:
        """Return the figures of one kind of images."""
        features_NF = self._space.features(images.pixels)
        density, coverage = density_and_coverage(self._reference_NF, features_NF)
        row = {
            "frechet_distance": frechet_distance(self._reference_NF, features_NF),
            "kernel_distance": kernel_distance(self._reference_NF, features_NF),
            "density": density,
            "coverage": coverage,
            "clusters_covered": self._clusters.covered(features_NF),
        }
        if self._space.judge is not None:
            row["classes_covered"] = self._classes_covered(self._space.judge, images)
        in_pixels, in_features = self._copies
        row |= in_pixels.figures(images.pixels, images.own_rows)
        row |= in_features.figures(features_NF, images.own_rows)
        return row

    def _classes_covered(self, judge: Judge, images: Images) -> float:
        if self._held_out.labels is None:
            raise ValueError("a classifier comes with labels")
        classes = judge.model.to_classes.out_features
        real = np.bincount(self._held_out.labels, minlength=classes)
        return covered_share(real, np.bincount(predict(judge.model, images.pixels), minlength=classes))
