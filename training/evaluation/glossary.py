"""What each figure is called, which way is better, and what it means in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Meaning:
    """How a figure is shown and explained; ``better`` is ``real`` where the real row's value is the aim."""

    label: str
    better: Literal["high", "low", "real"]
    text: str
    percent: bool = False

    def show(self, value: float) -> str:
        """Return the value as people read it."""
        if self.percent:
            return f"{value:.1%}"
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


ROW_NAMES = {"generated": "drawn", "real": "real", "noise": "noise"}

MEANINGS = {
    "class_accuracy": Meaning(
        "Class accuracy", "high", "Draws that the classifier reads as the class asked for.", percent=True
    ),
    "cas": Meaning(
        "CAS",
        "high",
        "Held-out real images read right by a classifier that was trained on this row's images alone.",
        percent=True,
    ),
    "coverage": Meaning(
        "Coverage",
        "high",
        "Held-out images with a draw nearer than their fifth real neighbour.",
        percent=True,
    ),
    "density": Meaning("Density", "real", "How densely real images surround a draw; rubbish lowers it."),
    "clusters_covered": Meaning(
        "Clusters covered",
        "high",
        "Clusters of training images that draws fall in, at least a tenth as often as they should.",
        percent=True,
    ),
    "classes_covered": Meaning(
        "Classes covered", "high", "Classes that are read in draws at least a tenth as often.", percent=True
    ),
    "frechet_distance": Meaning(
        "Fréchet distance", "low", "Between normal laws fitted to the features. No FID: another space."
    ),
    "kernel_distance": Meaning(
        "Kernel distance",
        "low",
        "Unbiased cubic-kernel MMD² of the features; about 0 or, as classes match, below.",
    ),
    "fid": Meaning("FID", "low", "Fréchet distance in the features of the Inception file below."),
    "nearest_training_pixels": Meaning(
        "Distance to training images, pixels",
        "real",
        "Median distance to the nearest training image over that of held-out images; copies go to 0.",
    ),
    "nearest_training_features": Meaning(
        "Distance to training images, features", "real", "The same, in the space of the distances."
    ),
    "near_copies_pixels": Meaning(
        "Near copies, pixels",
        "real",
        "As near to a training image as one held-out image in a hundred is.",
        percent=True,
    ),
    "near_copies_features": Meaning(
        "Near copies, features", "real", "The same, in the space of the distances.", percent=True
    ),
    "mean": Meaning("Mean", "real", "Of the numbers of this row."),
    "standard_deviation": Meaning("Standard deviation", "real", "Of the numbers of this row."),
    "wasserstein": Meaning(
        "Wasserstein distance", "low", "From the held-out numbers: the area between quantiles."
    ),
    "kolmogorov_smirnov": Meaning(
        "Kolmogorov–Smirnov statistic",
        "low",
        "Largest gap between this row's distribution function and the held-out.",
    ),
}
"""In the order of the table. A figure that stands here is shown; each metric of a row must."""
