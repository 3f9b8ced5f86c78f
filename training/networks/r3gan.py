"""Residual networks without any norm, for a regularised relativistic game (Huang et al. 2024, R3GAN).

From the paper: bottlenecks of 1 x 1, grouped 3 x 3 and 1 x 1 convolutions with LeakyReLU 0.2, no norm layers,
fix-up initialisation (the last convolution of every block starts at zero), bilinear resampling, a learned
constant-free start from the latent, and one linear map at the end of D.

Shapes: N rows, D latent dimensions, K classes, E embedding, C H W an image.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.conditioning import ClassEmbedding, required
from training.networks.discriminating import dropout, minibatch_spread
from training.networks.geometry import channels_at, halvings, image_output
from training.networks.interface import Discriminator, Generator, GeneratorSpec, Verdict
from training.part_config import R3ganNetworks

_SLOPE = 0.2


def _activated(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, _SLOPE)


def _scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Draw a layer's weights so that LeakyReLU keeps the variance (He et al. 2015); biases start at zero."""
    nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
    with torch.no_grad():
        layer.weight.mul_(gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Bottleneck(nn.Module):
    """x + W3 σ(W2 σ(W1 x)), W2 grouped and wider; W3 starts at zero."""

    def __init__(self, config: R3ganNetworks, channels: int, depth: int) -> None:
        super().__init__()
        wide = channels * config.expansion
        groups = max(1, wide // config.group_channels)
        wide = groups * max(1, wide // groups)
        # Fix-up (Zhang et al. 2019): with L blocks of three layers, the others shrink by L^(-1/4).
        gain = depth ** (-1 / 4)
        self.into = _scaled(nn.Conv2d(channels, wide, 1), gain)
        self.across = _scaled(nn.Conv2d(wide, wide, 3, padding=1, groups=groups, bias=False), gain)
        self.out = nn.Conv2d(wide, channels, 1, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return ``[N, C, H, W]``."""
        return x_NCHW + self.out(_activated(self.across(_activated(self.into(x_NCHW)))))


def _blocks(config: R3ganNetworks, channels: int, levels: int) -> nn.Sequential:
    depth = config.blocks * (levels + 1)
    return nn.Sequential(*(Bottleneck(config, channels, depth) for _ in range(config.blocks)))


class R3ganGenerator(Generator):
    """The latent, the class's embedding beside it, to the coarsest grid; blocks, doublings; a 1 x 1 map."""

    def __init__(self, config: R3ganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image = image_output(spec, "r3gan")
        levels = halvings(image.height, image.width)
        base = config.generator_channels
        self.embedding = None if spec.classes is None else ClassEmbedding(spec.classes, config.embedding_dim)
        inputs = spec.latent_dim + (0 if spec.classes is None else config.embedding_dim)
        self._grid = (channels_at(base, levels), image.height >> levels, image.width >> levels)
        self.to_grid = _scaled(nn.Linear(inputs, self._grid[0] * self._grid[1] * self._grid[2]))
        self.stages = nn.ModuleList(
            _blocks(config, channels_at(base, level), levels) for level in range(levels, -1, -1)
        )
        self.narrowings = nn.ModuleList(
            _scaled(nn.Conv2d(channels_at(base, level), channels_at(base, level - 1), 1, bias=False))
            for level in range(levels, 0, -1)
        )
        self.to_image = _scaled(nn.Conv2d(base, image.channels, 1))

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw images; see :class:`Generator`. The paper's output is linear; ours is bounded by tanh."""
        inputs = latent_ND
        if self.embedding is not None:
            inputs = torch.cat([latent_ND, self.embedding(required(class_weights_NK))], dim=1)
        h = self.stages[0](self.to_grid(inputs).reshape(-1, *self._grid))
        for narrow, stage in zip(self.narrowings, self.stages[1:], strict=True):
            h = functional.interpolate(narrow(h), scale_factor=2.0, mode="bilinear", align_corners=False)
            h = stage(h)
        return torch.tanh(self.to_image(h))


class R3ganDiscriminator(Discriminator):
    """A 1 x 1 map, blocks and halvings, then features of the coarsest grid and their score.

    With classes the score is <embedding(y), features> / √F, and without the features' linear map.
    """

    def __init__(self, config: R3ganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image = image_output(spec, "r3gan")
        levels = halvings(image.height, image.width)
        base = config.discriminator_channels
        self.from_image = _scaled(nn.Conv2d(image.channels, base, 1))
        self.stages = nn.ModuleList(
            _blocks(config, channels_at(base, level), levels) for level in range(levels + 1)
        )
        self.widenings = nn.ModuleList(
            _scaled(nn.Conv2d(channels_at(base, level), channels_at(base, level + 1), 1, bias=False))
            for level in range(levels)
        )
        coarsest = channels_at(base, levels)
        cells = (image.height >> levels) * (image.width >> levels)
        features = 1 if spec.classes is None else config.embedding_dim
        self.dropout = dropout(config)
        self.spread, inputs = minibatch_spread(config, coarsest * cells)
        self.to_features = _scaled(nn.Linear(inputs, features))
        self.embedding = None if spec.classes is None else ClassEmbedding(spec.classes, features)

    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Score images; see :class:`Discriminator`."""
        h = self.stages[0](self.from_image(samples))
        for widen, stage in zip(self.widenings, self.stages[1:], strict=True):
            h = stage(
                widen(functional.interpolate(h, scale_factor=0.5, mode="bilinear", align_corners=False))
            )
        features = self.to_features(self.spread(self.dropout(h.flatten(1))))
        if self.embedding is None:
            return Verdict(features.squeeze(1))
        label = self.embedding(required(class_weights_NK))
        return Verdict((features * label).sum(dim=1) / sqrt(features.shape[1]))
