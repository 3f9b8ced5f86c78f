"""How the weights of a network begin: biases at zero, matrices by the rule that its source used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized


def initialise(network: nn.Module, rule: Callable[[Tensor], Any]) -> None:
    """Fill every matrix of the network's convolutions and linear maps by the rule; biases start at zero.

    A matrix under spectral norm is filled where it is kept, before its division.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight: Tensor = module.weight
            if is_parametrized(module, "weight"):
                weight = cast("Any", module).parametrizations.weight.original
            rule(weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def glorot(weight: Tensor) -> Tensor:
    """Draw by Glorot's uniform rule, as SNGAN does."""
    return nn.init.xavier_uniform_(weight)


def small_normal(weight: Tensor) -> Tensor:
    """Draw from N(0, 0.02²), as DCGAN does."""
    return nn.init.normal_(weight, 0.0, 0.02)
