"""The conditional GAN of Mirza and Osindero 2014: the label joins the noise in G and the image in D.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from contract.manifest import ImageOutput
from training.networks.conditioning import ConditionalBatchNorm, classes_of, required
from training.networks.discriminating import dropout, maybe_spectral, minibatch_spread
from training.networks.geometry import image_output
from training.networks.initialisation import initialise
from training.networks.interface import Discriminator, Generator, GeneratorSpec, Verdict
from training.networks.mlp import SigmoidLevels
from training.part_config import CganNetworks

_SAMPLE_PIECES, _LABEL_PIECES, _JOINED_PIECES = 5, 5, 4


class Maxout(nn.Module):
    """The largest of several linear maps, unit by unit (Goodfellow et al. 2013)."""

    def __init__(self, config: CganNetworks, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self._shape = (units, pieces)
        self.linear = maybe_spectral(nn.Linear(inputs, units * pieces), config)

    def forward(self, x_NI: Tensor) -> Tensor:
        """Return ``[N, units]``."""
        return self.linear(x_NI).reshape(-1, *self._shape).amax(dim=2)


class Units(nn.Module):
    """What follows G's linear maps: batch norm if the settings ask for it, ReLU, dropout."""

    def __init__(self, config: CganNetworks, units: int) -> None:
        super().__init__()
        self.norm = ConditionalBatchNorm(units, None) if config.generator_norm == "batch" else None
        self.dropout = nn.Dropout(config.generator_dropout)

    def forward(self, x_NU: Tensor) -> Tensor:
        """Return ``[N, units]``, none below 0."""
        if self.norm is not None:
            x_NU = self.norm(x_NU[:, :, None, None], None).flatten(1)
        return self.dropout(x_NU.relu())


class CganGenerator(Generator):
    """Noise and label each through ReLU units of their own, then units of both, then sigmoid levels."""

    def __init__(self, config: CganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image, classes = image_output(spec, "cgan"), classes_of(spec, "cgan")
        self._shape = (image.channels, image.height, image.width)
        self.from_noise = nn.Linear(spec.latent_dim, config.generator_noise)
        self.from_label = nn.Linear(classes, config.generator_labels)
        both = config.generator_noise + config.generator_labels
        self.joined = nn.Sequential(
            Units(config, both),
            nn.Linear(both, config.generator_joined),
            Units(config, config.generator_joined),
        )
        self.to_levels = nn.Sequential(nn.Linear(config.generator_joined, prod(self._shape)), SigmoidLevels())
        initialise(self, config.initialisation)

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw images; see :class:`Generator`."""
        label = required(class_weights_NK)
        sides = torch.cat([self.from_noise(latent_ND), self.from_label(label)], dim=1)
        return self.to_levels(self.joined(sides)).reshape(-1, *self._shape)


class CganDiscriminator(Discriminator):
    """Image and label each through maxout units of their own, then units of both, then one logit."""

    def __init__(self, config: CganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image: ImageOutput = image_output(spec, "cgan")
        samples, labels = config.discriminator_samples, config.discriminator_labels
        self.from_image = Maxout(config, prod(image.shape), samples, _SAMPLE_PIECES)
        self.from_label = Maxout(config, classes_of(spec, "cgan"), labels, _LABEL_PIECES)
        self.joined = Maxout(config, samples + labels, config.discriminator_joined, _JOINED_PIECES)
        self.dropout = dropout(config)
        self.spread, features = minibatch_spread(config, config.discriminator_joined)
        self.score = maybe_spectral(nn.Linear(features, 1), config)
        initialise(self, config.initialisation)

    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Score images; see :class:`Discriminator`."""
        image, label = self.from_image(samples.flatten(1)), self.from_label(required(class_weights_NK))
        sides = self.dropout(torch.cat([image, label], dim=1))
        return Verdict(self.score(self.spread(self.dropout(self.joined(sides)))).squeeze(1))
