"""Transposed convolutions up, strided convolutions down, and nothing pooled (Radford et al. 2015).

Shapes: N rows, D latent dimensions, C H W an image.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from contract.manifest import ImageOutput
from training.networks.conditioning import ClassEmbedding, ConditionalBatchNorm, required
from training.networks.discriminating import ProjectionScore, dropout, maybe_spectral, minibatch_spread
from training.networks.doubling import DoublingToImage
from training.networks.geometry import channels_at, halvings, image_output
from training.networks.initialisation import initialise
from training.networks.interface import Discriminator, Generator, GeneratorSpec, Verdict
from training.part_config import DcganNetworks, StridedNetworks

_SLOPE = 0.2
_FEWEST_LAYERS = 2


class StridedGenerator(nn.Module):
    """A linear map to the coarsest grid, then doublings: norm, ReLU, transposed convolution; tanh at the end.

    As in the paper, every layer but the last has batch norm; a condition steers it where there is one.
    Images so small, or so odd, that they are doubled less than twice begin with plain convolutions: one layer
    above the linear map draws no more than blots.
    """

    def __init__(
        self, config: StridedNetworks, latent_dim: int, image: ImageOutput, condition_dim: int | None = None
    ) -> None:
        super().__init__()
        levels = halvings(image.height, image.width)
        depth = max(levels, _FEWEST_LAYERS)
        widths = [channels_at(config.generator_channels, level) for level in range(depth, 0, -1)]
        self._grid = (widths[0], image.height >> levels, image.width >> levels)
        self.to_grid = nn.Linear(latent_dim, widths[0] * self._grid[1] * self._grid[2], bias=False)
        self.norms = nn.ModuleList(ConditionalBatchNorm(width, condition_dim) for width in widths)
        self.convolutions = nn.ModuleList(
            _doubling(before, after) if at >= depth - levels else _plain(before, after)
            for at, (before, after) in enumerate(pairwise(widths))
        )
        last = (
            DoublingToImage(widths[-1], image.channels)
            if levels
            else nn.Conv2d(widths[-1], image.channels, 3, padding=1)
        )
        self.convolutions.append(last)

    def forward(self, latent_ND: Tensor, condition_NE: Tensor | None = None) -> Tensor:
        """Return images ``[N, C, H, W]`` in [-1, 1]."""
        h = self.to_grid(latent_ND).reshape(-1, *self._grid)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            h = convolution(functional.relu(norm(h, condition_NE)))
        return torch.tanh(h)


class DcganGenerator(Generator):
    """Transposed convolutions of the latent; the class, if any, steers their norms."""

    def __init__(self, config: DcganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        image, condition_dim = image_output(spec, "dcgan"), None
        self.embedding: ClassEmbedding | None = None
        if spec.classes is not None:
            condition_dim = config.embedding_dim
            self.embedding = ClassEmbedding(spec.classes, condition_dim)
        self.layers = StridedGenerator(config, spec.latent_dim, image, condition_dim)
        initialise(self, config.initialisation)

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw images; see :class:`Generator`."""
        if self.embedding is None:
            return self.layers(latent_ND)
        return self.layers(latent_ND, self.embedding(required(class_weights_NK)))


class StridedTrunk(nn.Module):
    """Halvings by strided convolutions with LeakyReLU 0.2, ending in flat features of the coarsest grid.

    There are two layers at least: the smallest images are halved on to 2 x 2, odd ones are not halved at all.
    The first layer has no norm, as in the paper. ``features`` says how many there are, with the minibatch's
    spread where the settings ask for it.
    """

    def __init__(self, config: StridedNetworks, image: ImageOutput) -> None:
        super().__init__()
        smallest = min(_FEWEST_LAYERS, halvings(image.height, image.width, coarsest=2))
        levels = max(halvings(image.height, image.width), smallest)
        height, width = image.height, image.width
        layers: list[nn.Module] = []
        before: int = image.channels
        for level in range(max(levels, _FEWEST_LAYERS)):
            after = channels_at(config.discriminator_channels, level)
            stride, kernel = (2, 4) if level < levels else (1, 3)
            height, width = height // stride, width // stride
            norm = _norm(config, after, height, width) if level > 0 else []
            centred = any(isinstance(layer, nn.BatchNorm2d) for layer in norm)  # any bias is taken away again
            convolution = nn.Conv2d(before, after, kernel, stride, padding=1, bias=not centred)
            layers += [maybe_spectral(convolution, config), *norm]
            layers.append(nn.LeakyReLU(_SLOPE))
            before = after
        spread, self.features = minibatch_spread(config, before * height * width)
        self.layers = nn.Sequential(*layers, nn.Flatten(), dropout(config), spread)

    def forward(self, samples: Tensor) -> Tensor:
        """Return the features of images: ``[N, features]``."""
        return self.layers(samples)


class DcganDiscriminator(Discriminator):
    """Strided halvings, then one linear score, the class projected."""

    def __init__(self, config: DcganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        self.trunk = StridedTrunk(config, image_output(spec, "dcgan"))
        self.score = ProjectionScore(config, self.trunk.features, spec.classes)
        initialise(self, config.initialisation)

    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Score images; see :class:`Discriminator`."""
        return Verdict(self.score(self.trunk(samples), class_weights_NK))


def _doubling(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)


def _plain(before: int, after: int) -> nn.Module:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)


def _norm(config: StridedNetworks, channels: int, height: int, width: int) -> list[nn.Module]:
    match config.discriminator_norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "layer":
            return [nn.LayerNorm([channels, height, width])]
        case "none":
            return []
