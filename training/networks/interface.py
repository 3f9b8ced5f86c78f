"""What every family's networks take and give, so that the trainer and the export know no family.

Shapes: N rows, D latent dimensions, K classes, C H W an image, V a vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from contract.latents import Prior
from contract.manifest import ImageOutput, VectorOutput


@dataclass(frozen=True)
class GeneratorSpec:
    """The outside of a generator: what it is fed and what it puts out."""

    latent_dim: int
    classes: int | None
    output: ImageOutput | VectorOutput
    prior: Prior = Prior.NORMAL


class Generator(nn.Module, ABC):
    """Draws samples from latents: images ``[N, C, H, W]`` in [-1, 1], or vectors ``[N, V]``."""

    @abstractmethod
    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw a sample for each latent; a conditional generator needs the class weights."""


class Verdict(NamedTuple):
    """What a discriminator says of samples."""

    scores: Tensor
    """Float ``[N]``, higher for what it takes to be real; a logit, not a probability."""
    class_logits: Tensor | None = None
    """Float ``[N, K]``, or ``[N, K + 1]`` with a class for what is drawn, of those that tell classes."""


class Discriminator(nn.Module, ABC):
    """Judges samples."""

    @abstractmethod
    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Judge each sample; a conditional discriminator needs the class weights."""
