"""How much a network's weights move, read off a few thousand of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_KEPT = 4096


@torch.no_grad()
def sampled_weights(network: nn.Module) -> Tensor:
    """Return a copy of at most about 4,096 weights, evenly spread over all of them, on the CPU."""
    parameters = [parameter.detach().flatten() for parameter in network.parameters()]
    stride = max(1, sum(len(some) for some in parameters) // _KEPT)
    return torch.cat([some[::stride] for some in parameters]).float().cpu().clone()


def relative_change(before: Tensor, now: Tensor) -> float:
    """Return the norm of the change over the norm of the weights before."""
    return float((now - before).norm() / before.norm().clamp_min(1e-12))


def relative_gradient(network: nn.Module) -> float | None:
    """Return the norm of the last step's gradient over the norm of the weights; None without a gradient."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    if not gradients:
        return None
    weights = torch.stack([parameter.detach().float().norm() for parameter in network.parameters()]).norm()
    size = torch.stack([gradient.float().norm() for gradient in gradients]).norm()
    return float(size / weights.clamp_min(1e-12))
