"""What a minibatch as a whole tells D: how much its rows differ (Karras et al. 2018, section 3).

Shapes: N rows, F features, G rows of a group.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SMALLEST_VARIANCE = 1e-8


class MinibatchStddev(nn.Module):
    """Adds one feature: the features' standard deviation within the row's group, averaged over them.

    A generator that draws the same again and again is found out by it. A group is so many rows that follow
    one another, so that in a batch of real rows and then drawn ones, each a multiple of it, no group holds
    both. Rows that are left over at the end are grouped with those before them.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self._group = group

    def forward(self, features_NF: Tensor) -> Tensor:
        """Return ``[N, F + 1]``."""
        rows = len(features_NF)
        group = min(self._group, rows)
        number_N = torch.arange(rows, device=features_NF.device) // group
        starts = (torch.arange(-(-rows // group), device=features_NF.device) * group).clamp(max=rows - group)
        members = starts[:, None] + torch.arange(group, device=features_NF.device)
        # In float32: a variance is a small difference, which bf16 loses.
        variances = features_NF.float()[members].var(dim=1, unbiased=False)
        spread = (variances + _SMALLEST_VARIANCE).sqrt().mean(dim=1)
        return torch.cat([features_NF, spread[number_N, None].to(features_NF.dtype)], dim=1)
