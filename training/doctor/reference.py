"""The real samples that a run is held against, and the latents that are drawn again at every check.

Shapes: N rows, D latent dimensions, P principal axes, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from contract.latents import graph_input, standard_normal
from training.data.dataset import Dataset, Part
from training.doctor import measures
from training.doctor.space import Float, Reader, Space
from training.networks import GeneratorSpec
from training.recipe_config import Recipe

_ROWS = 256
_ROWS_A_CLASS = 8
_MOST_ROWS = 1024
_SEED = 2**40 + 4
"""Far from the seeds that people choose, so that a check's draws are not those of a grid or a report."""
_MOST_KNOWN = 4096


@dataclass(frozen=True)
class Crowd:
    """Samples with their places and classes; ``labels_N`` is all 0 for data without classes."""

    part: Part
    places_NP: Float
    labels_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels_N)


def _crowd(part: Part, rows: NDArray[np.intp], space: Space) -> Crowd:
    chosen = Part(part.samples[rows], None if part.labels is None else part.labels[rows])
    labels = np.zeros(len(rows), dtype=np.int64) if chosen.labels is None else chosen.labels
    return Crowd(chosen, space.place(chosen.samples), labels)


def _rows(part: Part, wanted: int) -> NDArray[np.intp]:
    """Choose rows evenly over the classes, ordered by class."""
    order = np.arange(len(part)) if part.labels is None else np.argsort(part.labels, kind="stable")
    return order[np.unique(np.linspace(0, len(part) - 1, min(wanted, len(part))).astype(np.intp))]


class Reference:
    """Everything real that a check needs: a pure function of the data set and the recipe."""

    def __init__(self, dataset: Dataset, recipe: Recipe, spec: GeneratorSpec) -> None:
        train, held_out = dataset.part(held_out=False), dataset.part(held_out=True)
        wanted = min(max(_ROWS, _ROWS_A_CLASS * (dataset.classes or 1)), _MOST_ROWS)
        self.spec = spec
        self.space = Space.of(train)
        rows = _rows(train, 2 * wanted)
        self.anchors, self.others = (_crowd(train, rows[side::2], self.space) for side in (0, 1))
        self.known = _crowd(train, _rows(train, wanted), self.space)
        self.train_rows = len(train)
        self.held_out = _crowd(held_out, _rows(held_out, wanted), self.space)
        self.labels_N = np.resize(self.others.labels_N, wanted)
        """The classes that are drawn, as often as the data has them."""
        g_ND = standard_normal(np.full(wanted, _SEED), np.arange(wanted), spec.latent_dim)
        self.latent_ND = torch.from_numpy(graph_input(g_ND, recipe.latent.prior, None))
        self.spread = measures.spread(self.anchors.places_NP)
        self.dimension = measures.dimension(self.anchors.places_NP, self.anchors.labels_N)
        every = _crowd(train, _rows(train, _MOST_KNOWN), self.space)
        self.train_places_NP = every.places_NP
        self.nearest = (
            measures.nearest(self.held_out.places_NP, every.places_NP) if len(self.held_out) else 0.0
        )
        """Median distance of a held-out sample from its nearest training sample."""
        several = train.labels is not None and len(np.unique(every.labels_N)) > 1
        self.reader = Reader(every.places_NP, every.labels_N) if several else None

    def weights(self, labels_N: NDArray[np.int64], device: torch.device) -> Tensor | None:
        """Return class weights ``[N, K]``, or None where the networks take no classes."""
        if self.spec.classes is None:
            return None
        return functional.one_hot(torch.from_numpy(labels_N), self.spec.classes).float().to(device)

    def tensor(self, part: Part, device: torch.device) -> Tensor:
        """Return samples as D sees them: images ``[N, C, H, W]`` in [-1, 1], vectors as they are."""
        samples = torch.from_numpy(np.array(part.samples))
        if samples.dtype == torch.uint8:
            samples = samples.permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)
        return samples.to(device)
