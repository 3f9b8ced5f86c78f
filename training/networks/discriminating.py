"""The parts of a discriminator that several families build alike, from the switches of their settings.

Shapes: N rows, F features, K classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.conditioning import required
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


class ProjectionScore(nn.Module):
    """A linear score of features; with classes it gains <embedding(y), features> (Miyato and Koyama 2018)."""

    def __init__(self, config: NetworkSettings, features: int, classes: int | None) -> None:
        super().__init__()
        self.linear = maybe_spectral(nn.Linear(features, 1), config)
        self.projection = (
            None if classes is None else maybe_spectral(nn.Linear(classes, features, bias=False), config)
        )

    def forward(self, features_NF: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Return scores ``[N]``; with classes, their weights are needed."""
        score = self.linear(features_NF).squeeze(1)
        if self.projection is None:
            return score
        return score + (self.projection(required(class_weights_NK)) * features_NF).sum(dim=1)
