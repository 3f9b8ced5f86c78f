"""One report for one generator: every figure beside the row of real against held-out real.

Shapes: N rows, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.manifest import EvaluationFacts
from training.data.dataset import Dataset, Part
from training.errors import DataError
from training.evaluation.classifier import Judge, accuracy, judge_for, predict, train_classifier
from training.evaluation.distances import (
    NEIGHBOURS,
    density_and_coverage,
    frechet_distance,
    kolmogorov_smirnov,
    wasserstein_1d,
)
from training.sampling import Sampler

Features = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
Row = dict[str, float]

_COMPONENTS = 64
_CAS_INDEX = 1_000_000
"""Where the draws that a classifier is trained on begin, apart from those that are judged."""


def evaluate(sampler: Sampler, dataset: Dataset, cache_dir: Path, seed: int = 0) -> EvaluationFacts:
    """Judge the sampler's averaged, untruncated draws by the data set's held-out part.

    As many samples are drawn as are held out, in the same classes. The same seed gives the same
    report. Raises ``DataError`` if too few samples are held out to judge by.
    """
    if dataset.held_out.sum() <= NEIGHBOURS:
        raise DataError(f"{dataset.name}: more than {NEIGHBOURS} held-out samples are needed to evaluate")
    if dataset.output.kind == "vector":
        return _evaluate_vectors(sampler, dataset, seed)
    judge = judge_for(dataset, cache_dir) if dataset.classes is not None else None
    return _evaluate_images(sampler, dataset, judge, seed)


def _evaluate_vectors(sampler: Sampler, dataset: Dataset, seed: int) -> EvaluationFacts:
    held_out = np.asarray(dataset.part(held_out=True).samples, np.float64).ravel()
    real = np.asarray(dataset.part(held_out=False).samples, np.float64).ravel()[: len(held_out)]
    drawn = sampler.draw(seed, np.arange(len(held_out)), None).astype(np.float64).ravel()
    rows = {
        name: {
            "mean": float(values.mean()),
            "standard_deviation": float(values.std(ddof=1)),
            "wasserstein": wasserstein_1d(values, held_out),
            "kolmogorov_smirnov": kolmogorov_smirnov(values, held_out),
        }
        for name, values in (("generated", drawn), ("real", real))
    }
    return EvaluationFacts(images=len(held_out), seed=seed, weights="averaged", rows=rows)


def _like(part: Part, labels: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
    """Choose rows of a part: as many of each class as ``labels`` has, the first ones there are."""
    if labels is None or part.labels is None:
        return np.arange(min(count, len(part)))
    chosen = [np.flatnonzero(part.labels == label)[: np.sum(labels == label)] for label in np.unique(labels)]
    return np.concatenate(chosen)


def _pixel_components(training: Part) -> Features:
    """Return features for data without labels: the leading principal components of the pixels."""
    flat = np.asarray(training.samples, np.float64).reshape(len(training), -1) / 255.0
    mean = flat.mean(axis=0)
    _, _, directions = np.linalg.svd(flat - mean, full_matrices=False)
    basis = directions[:_COMPONENTS].T

    def features(pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray((pixels_NHWC.reshape(len(pixels_NHWC), -1) / 255.0 - mean) @ basis)

    return features


def _evaluate_images(sampler: Sampler, dataset: Dataset, judge: Judge | None, seed: int) -> EvaluationFacts:
    training, held_out = dataset.part(held_out=False), dataset.part(held_out=True)
    features = judge.features if judge is not None else _pixel_components(training)
    conditional = sampler.spec.classes is not None
    labels = held_out.labels if conditional else None
    reference = features(np.asarray(held_out.samples, np.uint8))
    real = np.asarray(training.samples[_like(training, held_out.labels, len(held_out))], np.uint8)
    drawn = np.asarray(sampler.draw(seed, np.arange(len(held_out)), labels), np.uint8)
    rows = {
        "generated": _distances(reference, features(drawn)),
        "real": _distances(reference, features(real)),
    }
    space: dict[str, str | float] = {"kind": f"first {_COMPONENTS} principal components of the pixels"}
    if judge is not None:
        space = {
            "kind": "hidden layer of a small classifier trained on the training part",
            "classifier_digest": judge.digest,
            "classifier_held_out_accuracy": judge.held_out_accuracy,
        }
        if labels is not None:
            rows["generated"]["class_accuracy"] = float(np.mean(predict(judge.model, drawn) == labels))
            rows["real"]["class_accuracy"] = judge.held_out_accuracy
            rows["generated"]["cas"] = _cas(sampler, training, held_out, seed)
            rows["real"]["cas"] = judge.held_out_accuracy
    return EvaluationFacts(
        images=len(held_out), seed=seed, weights="averaged", feature_space=space, rows=rows
    )


def _distances(reference_NF: NDArray[np.float64], judged_NF: NDArray[np.float64]) -> Row:
    density, coverage = density_and_coverage(reference_NF, judged_NF)
    return {
        "frechet_distance": frechet_distance(reference_NF, judged_NF),
        "density": density,
        "coverage": coverage,
    }


def _cas(sampler: Sampler, training: Part, held_out: Part, seed: int) -> float:
    """Return the classification accuracy score (Ravuri and Vinyals 2019).

    A classifier is trained on as many draws, of the same classes, as there are training images,
    and tested on the held-out real ones.
    """
    if training.labels is None or sampler.spec.classes is None:
        raise ValueError("the score needs labels and a conditional generator")
    indices = np.arange(_CAS_INDEX, _CAS_INDEX + len(training))
    drawn = sampler.draw(seed, indices, training.labels)
    return accuracy(train_classifier(Part(drawn, training.labels), sampler.spec.classes), held_out)
