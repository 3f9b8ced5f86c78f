"""Judges drawn numbers beside real ones and noise: their law is compared itself, without features.

Shapes: N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contract.manifest import EvaluationFacts
from training.data import Dataset
from training.errors import ConfigError, DataError
from training.evaluation.distances import NEIGHBOURS, kolmogorov_smirnov, wasserstein_1d
from training.evaluation.request import Request
from training.sampling import Sampler

Numbers = NDArray[np.float64]


def judge_numbers(
    sampler: Sampler, dataset: Dataset, request: Request
) -> tuple[EvaluationFacts, dict[str, Numbers]]:
    """Return the figures of drawn numbers, and the numbers ``[N]`` of each row and of the held-out part.

    Noise is uniform over the range of the held-out numbers. Raises ``DataError`` for vectors
    of more than one number, which have no distribution function to compare.
    """
    if dataset.samples.shape[1] != 1:
        raise DataError(f"{dataset.name}: vectors of more than one number cannot be judged yet")
    held_out = np.asarray(dataset.part(held_out=True).samples, np.float64).ravel()
    training = np.asarray(dataset.part(held_out=False).samples, np.float64).ravel()
    count = len(held_out) if request.images is None else request.images
    if not NEIGHBOURS < count <= len(training):
        raise ConfigError(f"--images {count}: give {NEIGHBOURS + 1} to {len(training)}")
    drawn = sampler.draw(request.seed, np.arange(count), None, request.truncation)
    numbers = {
        "generated": drawn.astype(np.float64).ravel(),
        "real": training[:count],
        "noise": np.random.default_rng(0).uniform(held_out.min(), held_out.max(), count),
    }
    rows = {
        name: {
            "mean": float(values.mean()),
            "standard_deviation": float(values.std(ddof=1)),
            "wasserstein": wasserstein_1d(values, held_out),
            "kolmogorov_smirnov": kolmogorov_smirnov(values, held_out),
        }
        for name, values in numbers.items()
    }
    facts = EvaluationFacts(
        images=count,
        seed=request.seed,
        weights=request.weights,
        truncation=request.truncation_text,
        feature_space={"kind": "the numbers themselves"},
        rows=rows,
    )
    return facts, numbers | {"held_out": held_out}
