"""Takes a trained generator's norms apart: what only training needs is folded into the weights."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from training.networks import Generator
from training.networks.conditioning import ConditionalBatchNorm
from training.networks.virtual_batch import ReferencedGenerator, VirtualBatchNorm


def folded(generator: Generator) -> Generator:
    """Return a copy for inference: evaluation mode, spectral norm and (virtual) batch norm folded in.

    The copy computes the same function up to rounding, which the export's parity gate checks.
    """
    result = copy.deepcopy(generator).cpu().eval()
    # Files of models do not tell how images lay in memory when their weights were trained.
    result.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload] # torch forgot it
    if isinstance(result, ReferencedGenerator):
        result = result.measured()
    for module in list(result.modules()):
        for name, child in list(module.named_children()):
            if parametrize.is_parametrized(child, "weight"):
                setattr(module, name, _plain(child))
        if isinstance(module, ConditionalBatchNorm):
            _absorb(module)
    return result.requires_grad_(requires_grad=False)


def _absorb(layer: ConditionalBatchNorm) -> None:
    match layer.norm:
        case nn.BatchNorm2d(running_mean=Tensor() as mean, running_var=Tensor() as variance, eps=eps):
            layer.modulation.absorb(mean, variance, eps)
        case VirtualBatchNorm(mean=mean, variance=variance, eps=eps):
            layer.modulation.absorb(mean, variance, eps)
        case other:
            raise ValueError(f"a norm without constant statistics cannot be absorbed: {other}")
    layer.norm = nn.Identity()


def _plain(layer: nn.Module) -> nn.Module:
    """Return a layer with the weight as its parametrization computes it, and without the parametrization.

    Not ``remove_parametrizations``: that changes the class of the layer, which copies share, and so breaks
    the generator that goes on training.
    """
    kind: Any = type(layer).__mro__[1]
    plain: nn.Module = kind.__new__(kind)
    plain.__dict__.update(layer.__dict__)
    plain._modules = {}  # noqa: SLF001 - where modules keep their parts
    parameters: Any = {
        "weight": nn.Parameter(cast("Any", layer).weight.detach().clone()),
        "bias": layer._parameters.get("bias"),  # noqa: SLF001 - the same
    }
    plain._parameters = parameters  # noqa: SLF001 - the same
    return plain
