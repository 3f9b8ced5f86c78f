"""How the weights of a network begin: biases at zero, matrices by the rule that its source used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from training.part_config import Initialisation

_MAPS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def initialise(network: nn.Module, rule: Initialisation) -> None:
    """Fill every matrix of the network's convolutions and linear maps by the rule; biases start at zero.

    The rule "uniform" is torch's own: weights and biases stay as torch drew them.
    """
    if rule == "uniform":
        return
    for weight in matrices(network):
        _fill(weight, rule)
    for module in network.modules():
        if isinstance(module, _MAPS) and module.bias is not None:
            nn.init.zeros_(module.bias)


def matrices(network: nn.Module) -> Iterator[Tensor]:
    """Yield each convolution's and linear map's matrix; under spectral norm, as it is before its division."""
    for module in network.modules():
        if isinstance(module, _MAPS):
            kept = is_parametrized(module, "weight")
            yield cast("Any", module).parametrizations.weight.original if kept else module.weight


def _fill(weight: Tensor, rule: Literal["glorot", "he", "normal", "orthogonal"]) -> None:
    match rule:
        case "glorot":  # as SNGAN does (Miyato et al. 2018)
            nn.init.xavier_uniform_(weight)
        case "he":  # keeps the variance through ReLU (He et al. 2015)
            nn.init.kaiming_normal_(weight)
        case "normal":  # as DCGAN does (Radford et al. 2015)
            nn.init.normal_(weight, 0.0, 0.02)
        case "orthogonal":  # rows of length one, as BigGAN does (Saxe et al. 2014)
            nn.init.orthogonal_(weight)
