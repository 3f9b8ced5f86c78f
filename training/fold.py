"""Takes a trained generator's norms apart: what only training needs is folded into the weights."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils import parametrize

from training.networks import Generator
from training.networks.conditioning import ConditionalBatchNorm2d


def folded(generator: Generator) -> Generator:
    """Return a copy for inference: evaluation mode, spectral norm and batch norm folded in.

    The copy computes the same function up to rounding, which the export's parity gate checks.
    """
    result = copy.deepcopy(generator).cpu().eval()
    for module in list(result.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
        if isinstance(module, ConditionalBatchNorm2d) and isinstance(module.norm, nn.BatchNorm2d):
            module.modulation.absorb(module.norm)
            module.norm = nn.Identity()
    return result.requires_grad_(requires_grad=False)
