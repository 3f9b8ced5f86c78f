"""Residual networks for images of any size (SNGAN's shape, Miyato et al. 2018).

Shapes: N rows, D latent dimensions, K classes, E embedding, C H W an image.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from contract.manifest import ImageOutput
from training.errors import ConfigError
from training.networks.attention import SelfAttention
from training.networks.conditioning import ClassEmbedding, ConditionalBatchNorm, required
from training.networks.discriminating import ProjectionScore, dropout, maybe_spectral, minibatch_spread
from training.networks.geometry import channels_at, halvings, image_output
from training.networks.initialisation import initialise
from training.networks.interface import Discriminator, Generator, GeneratorSpec, Verdict
from training.part_config import ResnetNetworks

Wrapping = Callable[[nn.Module], nn.Module]


def _as_it_is(module: nn.Module) -> nn.Module:
    return module


def _latent_parts(dim: int, levels: int, *, split: bool) -> list[int]:
    """Return how many of the latent's numbers go to the coarsest grid, and how many to each block."""
    if not split:
        return [dim, *[0] * max(levels, 1)]
    part = dim // (levels + 1)
    if part == 0:
        raise ConfigError(f"latent.dim must be at least {levels + 1} to be split over {levels} blocks")
    return [dim - part * levels, *[part] * levels] if levels else [dim, 0]


def attended_level(config: ResnetNetworks, image: ImageOutput) -> int | None:
    """Return after how many halvings places attend to one another, or None for nowhere."""
    levels = halvings(image.height, image.width)
    if config.attention_edge is None or levels == 0:
        return None
    edge = min(image.height, image.width)
    fitting = [level for level in range(1, levels + 1) if edge >> level <= config.attention_edge]
    return fitting[0] if fitting else levels


class GeneratorBlock(nn.Module):
    """Norm, ReLU, double the size, convolve; norm, ReLU, convolve; add the shortcut."""

    def __init__(
        self, channels_in: int, channels_out: int, condition_dim: int | None, wrap: Wrapping
    ) -> None:
        super().__init__()
        self.norm_1 = ConditionalBatchNorm(channels_in, condition_dim)
        self.conv_1 = wrap(nn.Conv2d(channels_in, channels_out, 3, padding=1))
        self.norm_2 = ConditionalBatchNorm(channels_out, condition_dim)
        self.conv_2 = wrap(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.shortcut = wrap(nn.Conv2d(channels_in, channels_out, 1))

    def forward(self, x_NCHW: Tensor, condition_NE: Tensor | None) -> Tensor:
        """Return ``[N, channels_out, 2H, 2W]``."""
        h = functional.relu(self.norm_1(x_NCHW, condition_NE))
        h = self.conv_1(functional.interpolate(h, scale_factor=2.0, mode="nearest"))
        h = self.conv_2(functional.relu(self.norm_2(h, condition_NE)))
        # A 1 x 1 convolution and a nearest upsampling commute; this order costs a quarter.
        return h + functional.interpolate(self.shortcut(x_NCHW), scale_factor=2.0, mode="nearest")


class ResnetGenerator(Generator):
    """A linear map to the coarsest grid, doubling blocks, then norm, ReLU, convolution and tanh.

    Each block's norms are steered by the class and, if the latent is split, by a part of the latent that is
    the block's own (Brock et al. 2018).
    """

    def __init__(self, config: ResnetNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image = image_output(spec, "resnet")
        levels = halvings(image.height, image.width)
        base = config.generator_channels
        wrap: Wrapping = spectral_norm if config.generator_spectral_norm else _as_it_is
        self._parts = _latent_parts(spec.latent_dim, levels, split=config.latent_split)
        condition_dim = (0 if spec.classes is None else config.embedding_dim) + self._parts[-1]
        self.embedding = None if spec.classes is None else ClassEmbedding(spec.classes, config.embedding_dim)
        self._grid = (channels_at(base, levels), image.height >> levels, image.width >> levels)
        self.to_grid = wrap(nn.Linear(self._parts[0], self._grid[0] * self._grid[1] * self._grid[2]))
        self.blocks = nn.ModuleList(
            GeneratorBlock(
                channels_at(base, level), channels_at(base, level - 1), condition_dim or None, wrap
            )
            for level in range(levels, 0, -1)
        )
        self.norm = ConditionalBatchNorm(base, None)
        self.to_image = wrap(nn.Conv2d(base, image.channels, 3, padding=1))
        level = attended_level(config, image)
        self._attended = None if level is None else levels - level
        self.attention = None if level is None else SelfAttention(channels_at(base, level))
        initialise(self, config.initialisation)

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw images; see :class:`Generator`."""
        first, *parts = latent_ND.split([part for part in self._parts if part], dim=1)
        label = [] if self.embedding is None else [self.embedding(required(class_weights_NK))]
        h = self.to_grid(first).reshape(-1, *self._grid)
        for number, block in enumerate(self.blocks):
            if self.attention is not None and number == self._attended:
                h = self.attention(h)
            steering = [*label, *parts[number : number + 1]]
            h = block(h, torch.cat(steering, dim=1) if steering else None)
        return torch.tanh(self.to_image(functional.relu(self.norm(h, None))))


class DiscriminatorBlock(nn.Module):
    """ReLU, convolve, ReLU, convolve, halve the size; add the shortcut.

    The first block of a network takes pixels and leaves the first ReLU out.
    """

    def __init__(
        self, config: ResnetNetworks, channels_in: int, channels_out: int, *, first: bool, halve: bool
    ) -> None:
        super().__init__()
        self._first = first
        self._halve = halve
        self.conv_1 = maybe_spectral(nn.Conv2d(channels_in, channels_out, 3, padding=1), config)
        self.conv_2 = maybe_spectral(nn.Conv2d(channels_out, channels_out, 3, padding=1), config)
        self.shortcut = maybe_spectral(nn.Conv2d(channels_in, channels_out, 1), config)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return ``[N, channels_out, H/2, W/2]``, or H and W unchanged where nothing is halved."""
        h = x_NCHW if self._first else functional.relu(x_NCHW)
        h = self.conv_2(functional.relu(self.conv_1(h)))
        shortcut = x_NCHW
        if self._halve:
            h = functional.avg_pool2d(h, 2)
            shortcut = functional.avg_pool2d(shortcut, 2)
        return h + self.shortcut(shortcut)


class ResnetDiscriminator(Discriminator):
    """Halving blocks, one block on the coarsest grid, a sum over it, a linear score, the class projected."""

    def __init__(self, config: ResnetNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image = image_output(spec, "resnet")
        levels = halvings(image.height, image.width)
        base = config.discriminator_channels
        widths = [image.channels, *(channels_at(base, level) for level in range(levels + 1))]
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(config, width_in, width_out, first=level == 0, halve=level < levels)
            for level, (width_in, width_out) in enumerate(pairwise(widths))
        )
        self._attended = attended_level(config, image)
        self.attention = None if self._attended is None else SelfAttention(widths[self._attended])
        spread, features = minibatch_spread(config, widths[-1])
        self.to_features = nn.Sequential(dropout(config), spread)
        self.score = ProjectionScore(config, features, spec.classes)
        initialise(self, config.initialisation)

    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Score images; see :class:`Discriminator`."""
        h = samples
        for number, block in enumerate(self.blocks):
            if self.attention is not None and number == self._attended:
                h = self.attention(h)
            h = block(h)
        features = self.to_features(functional.relu(h).sum(dim=(2, 3)))
        return Verdict(self.score(features, class_weights_NK))
