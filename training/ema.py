"""The moving average of a network's weights and of its running statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.part_config import Averaging

_SINGULAR_VECTORS = ("._u", "._v")


def ema_beta(config: Averaging, batch_size: int, images_seen: int) -> float:
    """Return the share of the old average that one step keeps.

    0.5 ^ (batch / half-life), the half-life in images and at most ``ramp`` of those seen so far
    (the schedule of Karras et al. 2020, which makes the average independent of the batch size).
    """
    halflife = min(config.halflife_kimg * 1000, max(images_seen, 1) * config.ramp)
    return float(0.5 ** (batch_size / max(halflife, 1e-8)))


@torch.no_grad()
def update_average(averaged: nn.Module, network: nn.Module, beta: float) -> None:
    """Move every weight and running statistic of ``averaged`` towards those of ``network``."""
    old: list[Tensor] = list(averaged.parameters())
    new: list[Tensor] = list(network.parameters())
    for (name, old_statistic), new_statistic in zip(averaged.named_buffers(), network.buffers(), strict=True):
        # Spectral norm's singular vectors have length one, which an average of them has not.
        if old_statistic.is_floating_point() and not name.endswith(_SINGULAR_VECTORS):
            old.append(old_statistic)
            new.append(new_statistic)
        else:
            old_statistic.copy_(new_statistic)
    torch._foreach_lerp_(old, new, 1.0 - beta)
