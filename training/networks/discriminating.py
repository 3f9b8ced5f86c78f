"""The parts of a discriminator that every family builds alike, from the switches of its settings."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.minibatch import MinibatchStddev
from training.part_config import NetworkSettings


def maybe_spectral(layer: nn.Module, config: NetworkSettings) -> nn.Module:
    """Return the layer, under spectral norm if the settings ask for it."""
    return spectral_norm(layer) if config.spectral_norm else layer


def dropout(config: NetworkSettings) -> nn.Module:
    """Return what leaves features out while training, or nothing if none are to be."""
    return nn.Dropout(config.discriminator_dropout) if config.discriminator_dropout else nn.Identity()


def minibatch_spread(config: NetworkSettings, features: int) -> tuple[nn.Module, int]:
    """Return what adds the minibatch's spread to features ``[N, F]``, if any, and how many there are then."""
    if config.minibatch_stddev:
        return MinibatchStddev(config.minibatch_stddev), features + 1
    return nn.Identity(), features
