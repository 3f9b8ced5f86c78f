"""Draws samples from a trained generator by seed and index, as the service will.

Shapes: N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contract.latents import Prior, Truncation, graph_input, standard_normal
from contract.pixels import image_batch_to_pixels
from training.errors import TrainingError
from training.networks import Generator, GeneratorSpec

Float32 = NDArray[np.float32]

_ROWS_PER_BATCH = 250


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return class weights float32 ``[N, K]`` that are all of one class a row."""
    return np.eye(classes, dtype=np.float32)[labels]


def balanced_labels(count: int, classes: int) -> NDArray[np.int64]:
    """Return int64 ``[count]``: index mod K, as the API's ``balanced``."""
    return np.arange(count, dtype=np.int64) % classes


Runner = Callable[[Float32, Float32 | None], Float32]
"""Feeds a graph: latents ``[N, D]`` and class weights ``[N, K]`` or None, to raw output."""


def torch_runner(generator: Generator) -> Runner:
    """Run a torch generator in evaluation mode, whatever mode it is in between."""

    @torch.no_grad()
    def run(latent_ND: Float32, weights_NK: Float32 | None) -> Float32:
        device = next(generator.parameters()).device
        was_training = generator.training
        generator.eval()
        weights = None if weights_NK is None else torch.from_numpy(weights_NK).to(device)
        output = generator(torch.from_numpy(latent_ND).to(device), weights)
        generator.train(was_training)
        return output.float().cpu().numpy()

    return run


@dataclass(frozen=True)
class Sampler:
    """A graph, what it takes and gives, and its prior: all that drawing needs."""

    run: Runner
    spec: GeneratorSpec
    prior: Prior

    def draw(
        self,
        seed: int,
        indices_N: NDArray[np.int64],
        labels_N: NDArray[np.int64] | None,
        truncation: Truncation | None = None,
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return one sample for each index of a seed: uint8 ``[N, H, W, C]`` or float32 ``[N, V]``."""
        pieces = []
        for start in range(0, len(indices_N), _ROWS_PER_BATCH):
            rows = slice(start, start + _ROWS_PER_BATCH)
            indices = indices_N[rows]
            g_ND = standard_normal(np.full(len(indices), seed), indices, self.spec.latent_dim)
            weights_NK = None
            if labels_N is not None and self.spec.classes is not None:
                weights_NK = one_hot(labels_N[rows], self.spec.classes)
            pieces.append(self.run(graph_input(g_ND, self.prior, truncation), weights_NK))
        return finish(np.concatenate(pieces), self.spec)


def finish(output: Float32, spec: GeneratorSpec) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Turn raw output into samples: images to pixels ``[N, H, W, C]``, vectors as they are.

    Raises ``TrainingError`` if the generator put out something that is no number.
    """
    if not np.isfinite(output).all():
        raise TrainingError("the generator puts out values that are no numbers: its training diverged")
    return image_batch_to_pixels(output) if spec.output.kind == "image" else output
