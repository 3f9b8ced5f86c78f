"""Self-attention over an image's places (Zhang et al. 2018).

Shapes: N rows, C channels, H W places; P = H W.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_QUERY_SHARE, _VALUE_SHARE = 8, 2


class SelfAttention(nn.Module):
    """Each place gathers from every other by likeness; what it gathers counts from nothing on, as learned.

    1 x 1 convolutions under spectral norm, C/8 channels for likeness and C/2 for values, and a scale γ that
    starts at 0 (equation 3), so that the network learns from its neighbourhoods first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, middle = max(1, channels // _QUERY_SHARE), max(1, channels // _VALUE_SHARE)
        self.query = spectral_norm(nn.Conv2d(channels, narrow, 1, bias=False))
        self.key = spectral_norm(nn.Conv2d(channels, narrow, 1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, middle, 1, bias=False))
        self.out = spectral_norm(nn.Conv2d(middle, channels, 1, bias=False))
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return ``[N, C, H, W]``."""
        height, width = x_NCHW.shape[2:]
        query_NPC = self.query(x_NCHW).flatten(2).transpose(1, 2)
        likeness_NPP = torch.softmax(query_NPC @ self.key(x_NCHW).flatten(2), dim=2)
        gathered_NCP = self.value(x_NCHW).flatten(2) @ likeness_NPP.transpose(1, 2)
        return x_NCHW + self.scale * self.out(gathered_NCP.unflatten(2, (height, width)))
