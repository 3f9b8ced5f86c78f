"""Latents for training, drawn on the device from a prior.

Shapes: N rows, D latent dimensions.
"""

from __future__ import annotations

from torch import Tensor

from contract.latents import Prior
from training.shards import Draws


def draw_latents(rows: int, dim: int, prior: Prior, draws: Draws) -> Tensor:
    """Return ``[rows, dim]`` draws of the prior: the graph's input, not the canonical latent."""
    match prior:
        case Prior.NORMAL:
            return draws.normal(rows, dim)
        case Prior.UNIFORM:
            return draws.uniform(rows, dim).mul_(2.0).sub_(1.0)
        case Prior.SPHERE:
            g_ND = draws.normal(rows, dim)
            return g_ND * (dim**0.5 / g_ND.norm(dim=1, keepdim=True))
