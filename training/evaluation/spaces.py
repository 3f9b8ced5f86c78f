"""The spaces that images are compared in, each with the facts that name it.

Shapes: N rows, F features, P pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import Dataset
from training.data.dataset import Part
from training.evaluation.classifier import Judge, judge_for
from training.evaluation.distances import Float64, blocks
from training.evaluation.selection import spread

Features = Callable[[NDArray[np.uint8]], Float64]

_COMPONENTS = 64
_LARGEST_SAMPLE = 1000


@dataclass(frozen=True)
class Space:
    """Features of images ``[N, H, W, C]``, the facts that name them, and the classifier if they are its."""

    features: Features
    facts: dict[str, str | float]
    judge: Judge | None = None


def space_for(dataset: Dataset, cache_dir: Path) -> Space:
    """Return the classifier's hidden layer; of data without labels, leading components of the pixels."""
    if dataset.classes is None:
        components = _pixel_components(dataset.part(held_out=False))
        kind = f"the first {_COMPONENTS} principal components of the pixels (no labels, so no classifier)"
        return Space(components, {"kind": kind})
    judge = judge_for(dataset, cache_dir)
    facts: dict[str, str | float] = {
        "kind": "hidden layer of a small classifier trained on the training part",
        "classifier_digest": judge.digest,
        "classifier_held_out_accuracy": judge.held_out_accuracy,
    }
    return Space(judge.features, facts, judge)


def _pixel_components(training: Part) -> Features:
    """Return the leading principal components of at most a thousand training images' pixels.

    They follow brightness and shape, not meaning: enough to see noise, collapse and copies.
    """
    sample = training.samples[spread(len(training), min(len(training), _LARGEST_SAMPLE))]
    flat_NP = np.asarray(sample, np.float64).reshape(len(sample), -1) / 255.0
    mean_P = flat_NP.mean(axis=0)
    centred_NP = flat_NP - mean_P
    # The eigenvectors of the small matrix of inner products give those of the covariance.
    values, vectors = np.linalg.eigh(centred_NP @ centred_NP.T)
    leading = np.argsort(values)[::-1][:_COMPONENTS]
    leading = leading[values[leading] > 1e-9 * values[leading[0]]] if len(leading) else leading
    basis_PF = (centred_NP.T @ vectors[:, leading]) / np.sqrt(values[leading])

    def features(pixels_NHWC: NDArray[np.uint8]) -> Float64:
        flat = pixels_NHWC.reshape(len(pixels_NHWC), -1)
        pieces = [(flat[rows] / 255.0 - mean_P) @ basis_PF for rows in blocks(len(flat))]
        return np.concatenate(pieces)

    return features
