"""Virtual batch norm: a generator normalised by a fixed reference batch (Salimans et al. 2016).

While training, each row is normalised by the reference batch and by itself, as in section 3.5 of the paper:
its own share is one part of R + 1. For drawing and export that share is left out, so that the statistics
are the reference batch's alone, constants that fold into the weights as a batch norm's do.

Shapes: N rows, D latent dimensions, K classes, R reference rows, C channels, ... places if any.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from contract.latents import graph_input, standard_normal
from training.networks.conditioning import ConditionalBatchNorm
from training.networks.interface import Generator, GeneratorSpec

_REFERENCE_SEED = 0


class VirtualBatchNorm(nn.Module):
    """Normalises each channel by the statistics of the first R rows, ``[R + N, C, ...]`` in all.

    ``mean`` and ``variance``, ``[C]``, are those of the reference rows that were seen last.
    """

    def __init__(self, reference_rows: int, eps: float = 1e-5) -> None:
        super().__init__()
        self._rows = reference_rows
        self.eps = eps
        self.mean = self.variance = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows normalised, the reference rows by themselves alone."""
        # In float32: a variance is a small difference, which bf16 loses.
        flat = x.float().flatten(2) if x.ndim > 2 else x.float().unsqueeze(2)
        first, second = flat.mean(dim=2), flat.square().mean(dim=2)
        mean, power = first[: self._rows].mean(dim=0), second[: self._rows].mean(dim=0)
        self.mean, self.variance = mean.detach(), (power - mean.square()).clamp(min=0.0).detach()
        if self.training:
            own = torch.full((len(x), 1), 1.0 / (self._rows + 1), device=x.device)
            own[: self._rows] = 0.0
            mean, power = mean.lerp(first, own), power.lerp(second, own)
        inverse = torch.rsqrt((power - mean.square()).clamp(min=0.0) + self.eps)
        normalised = (flat - mean.unsqueeze(-1)) * inverse.unsqueeze(-1)
        return normalised.reshape(x.shape).to(x.dtype)


class ReferencedGenerator(Generator):
    """A generator that takes its reference batch along on every pass, ahead of the rows asked for.

    The batch is the same for every run: the prior's canonical latents of one seed, the classes in turn. It
    stays as it is, while what becomes of it follows the weights.
    """

    def __init__(self, generator: Generator, spec: GeneratorSpec, rows: int) -> None:
        super().__init__()
        self.generator = generator
        for module in generator.modules():
            if isinstance(module, ConditionalBatchNorm):
                module.norm = VirtualBatchNorm(rows)
        canonical = standard_normal(np.full(rows, _REFERENCE_SEED), np.arange(rows), spec.latent_dim)
        weights = None if spec.classes is None else torch.eye(spec.classes)[torch.arange(rows) % spec.classes]
        self.latent_RD: Tensor
        self.register_buffer("latent_RD", torch.from_numpy(graph_input(canonical, spec.prior)))
        self.class_weights_RK: Tensor | None
        self.register_buffer("class_weights_RK", weights)

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw samples; see :class:`Generator`."""
        weights = class_weights_NK
        if self.class_weights_RK is not None and class_weights_NK is not None:
            weights = torch.cat([self.class_weights_RK, class_weights_NK])
        return self.generator(torch.cat([self.latent_RD, latent_ND]), weights)[len(self.latent_RD) :]

    @torch.no_grad()
    def measured(self) -> Generator:
        """Return the generator within, in evaluation mode, with its norms' statistics up to date."""
        self.eval()
        self.generator(self.latent_RD, self.class_weights_RK)
        return self.generator
