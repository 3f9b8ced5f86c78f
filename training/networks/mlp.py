"""Fully connected networks: the GANs of Goodfellow et al. 2014 and the one-dimensional toy."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from contract.manifest import ImageOutput
from training.networks.discriminating import dropout, maybe_spectral, minibatch_spread
from training.networks.initialisation import initialise
from training.networks.interface import Discriminator, Generator, GeneratorSpec, Verdict
from training.part_config import Activation, MlpNetworks


def _activation(name: Activation) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(0.2)
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()


class SigmoidLevels(nn.Module):
    """Levels from 0 to 1, stretched to [-1, 1]: 2 sigmoid(x) - 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return values in [-1, 1]."""
        return 2.0 * torch.sigmoid(x) - 1.0


class MlpGenerator(Generator):
    """Linear maps with an activation between them; images end in tanh or sigmoid, vectors in nothing."""

    def __init__(self, config: MlpNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        output = spec.output
        self._is_image = isinstance(output, ImageOutput)
        self._shape = (
            (output.channels, output.height, output.width)
            if isinstance(output, ImageOutput)
            else output.shape
        )
        widths = (spec.latent_dim, *config.generator_hidden)
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), _activation(config.generator_activation)]
        layers.append(nn.Linear(widths[-1], prod(self._shape)))
        if self._is_image:
            layers.append(nn.Tanh() if config.generator_output == "tanh" else SigmoidLevels())
        self.layers = nn.Sequential(*layers)
        initialise(self, config.initialisation)

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw samples; see :class:`Generator`."""
        del class_weights_NK
        return self.layers(latent_ND).reshape(-1, *self._shape)


class MlpDiscriminator(Discriminator):
    """Linear maps with an activation and dropout between them, ending in one logit."""

    def __init__(self, config: MlpNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        widths = (prod(spec.output.shape), *config.discriminator_hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in pairwise(widths):
            layers += [
                maybe_spectral(nn.Linear(width_in, width_out), config),
                _activation(config.discriminator_activation),
                dropout(config),
            ]
        spread, features = minibatch_spread(config, widths[-1])
        layers += [spread, maybe_spectral(nn.Linear(features, 1), config)]
        self.layers = nn.Sequential(*layers)
        initialise(self, config.initialisation)

    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Score samples; see :class:`Discriminator`."""
        del class_weights_NK
        return Verdict(self.layers(samples).squeeze(1))
