"""How the weights of a network begin: biases at zero, matrices by the rule that its source used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_MAPS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def initialise(network: nn.Module, rule: Callable[[Tensor], Any]) -> None:
    """Fill every matrix of the network's convolutions and linear maps by the rule; biases start at zero."""
    for weight in matrices(network):
        rule(weight)
    for module in network.modules():
        if isinstance(module, _MAPS) and module.bias is not None:
            nn.init.zeros_(module.bias)


def matrices(network: nn.Module) -> Iterator[Tensor]:
    """Yield each convolution's and linear map's matrix; under spectral norm, as it is before its division."""
    for module in network.modules():
        if isinstance(module, _MAPS):
            kept = is_parametrized(module, "weight")
            yield cast("Any", module).parametrizations.weight.original if kept else module.weight


def glorot(weight: Tensor) -> Tensor:
    """Draw by Glorot's uniform rule, as SNGAN does."""
    return nn.init.xavier_uniform_(weight)


def small_normal(weight: Tensor) -> Tensor:
    """Draw from N(0, 0.02²), as DCGAN does."""
    return nn.init.normal_(weight, 0.0, 0.02)


def orthogonal(weight: Tensor) -> Tensor:
    """Draw rows that are orthogonal and of length one, as BigGAN does (Saxe et al. 2014)."""
    return nn.init.orthogonal_(weight)
