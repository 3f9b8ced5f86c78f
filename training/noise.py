"""Latents for training, drawn on the device from a prior.

Shapes: N rows, D latent dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from contract.latents import Prior


def draw_latents(rows: int, dim: int, prior: Prior, generator: torch.Generator) -> Tensor:
    """Return ``[rows, dim]`` draws of the prior: the graph's input, not the canonical latent."""
    shape = (rows, dim)
    match prior:
        case Prior.NORMAL:
            return torch.randn(shape, generator=generator, device=generator.device)
        case Prior.UNIFORM:
            return torch.rand(shape, generator=generator, device=generator.device).mul_(2.0).sub_(1.0)
        case Prior.SPHERE:
            g_ND = torch.randn(shape, generator=generator, device=generator.device)
            return g_ND * (dim**0.5 / g_ND.norm(dim=1, keepdim=True))
