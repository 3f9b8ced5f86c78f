"""What keeps the players in bounds: penalties on D's gradients, clipped weights, orthogonal rows.

Shapes: N rows; scores ``[N]``, samples ``[N, ...]``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.networks.initialisation import matrices
from training.shards import Draws

Scores = Callable[[Tensor], Tensor]


def gradient_penalty(scores_of: Scores, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """Return E[(‖∇D(x̂)‖ - 1)²], x̂ at random places between real and drawn samples.

    Source: Gulrajani et al. 2017, algorithm 1. ``scores_of`` must score each sample by itself.
    """
    share = draws.uniform(len(real), *(1 for _ in real.shape[1:]))
    between = (share * real + (1.0 - share) * fake).detach().requires_grad_()
    norms_N = _gradients(scores_of(between), between).norm(dim=1)
    return (norms_N - 1.0).square().mean()


def squared_gradient(scores_of: Scores, samples: Tensor) -> Tensor:
    """Return ½ E‖∇D(x)‖²: R1 at real samples, R2 at drawn ones (Mescheder et al. 2018, equation 9)."""
    at = samples.detach().requires_grad_()
    return 0.5 * _gradients(scores_of(at), at).square().sum(dim=1).mean()


def _gradients(scores_N: Tensor, samples: Tensor) -> Tensor:
    """Return each score's gradient at its own sample, flat: ``[N, ...]`` to ``[N, F]``."""
    [gradients] = torch.autograd.grad(scores_N.sum(), samples, create_graph=True)
    return gradients.flatten(1)


@torch.no_grad()
def clip_weights(network: nn.Module, largest: float) -> None:
    """Cut every parameter to [-largest, largest] (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in network.parameters():
        parameter.clamp_(-largest, largest)


def orthogonal_penalty(network: nn.Module) -> Tensor:
    """Return Σ ‖W Wᵀ ⊙ (1 - I)‖²: rows may be long, but not alike (Brock et al. 2018, equation 3).

    Taken over the matrices of convolutions and linear maps, not over the embedding of classes.
    """
    total: Tensor | None = None
    for weight in matrices(network):
        rows = weight.flatten(1)
        products = rows @ rows.T
        apart = (products - products.diagonal().diag()).square().sum()
        total = apart if total is None else total + apart
    assert total is not None, "a network has weights"
    return total
