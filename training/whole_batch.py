"""Layers that see a whole batch where only a shard of it is played: batch norm and dropout.

Torch's own ``SyncBatchNorm`` is for GPUs alone, and its dropout draws a mask of the shard.

Shapes: N rows of this process, C channels, P processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from training.distributed import Processes, total
from training.shards import ShardedDropout


class _Total(torch.autograd.Function):
    """The sum over all processes: of values on the way there, of gradients on the way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401, ARG004 - torch's signature
        return total(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # noqa: ANN401, ARG004 - torch's signature
        return _Total.apply(gradients[0])


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of the rows of all processes, gradients included.

    Every process must hold as many rows. In evaluation mode it is plain batch norm.
    """

    def __init__(self, like: nn.BatchNorm2d, processes: Processes) -> None:
        super().__init__(like.num_features, like.eps, like.momentum, like.affine)
        self.load_state_dict(like.state_dict())
        self._processes = processes

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalise ``[N, C, H, W]`` over all dimensions but C, and over all processes."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        mean_C, variance_C = self._statistics(x)
        scale_C = torch.rsqrt(variance_C + self.eps)
        if self.affine:
            scale_C = scale_C * self.weight
        shift_C = -mean_C * scale_C
        if self.affine:
            shift_C = shift_C + self.bias
        self._remember(mean_C.detach(), variance_C.detach(), self._processes.size * x.numel() // x.shape[1])
        return (x * scale_C[:, None, None] + shift_C[:, None, None]).to(input.dtype)

    def _statistics(self, x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of all rows: ``[C]`` each.

        From each process's own two by the law of total variance, which loses no digits as a difference of
        squares would.
        """
        variance_C, mean_C = torch.var_mean(x_NCHW, dim=(0, 2, 3), correction=0)
        own_2C = torch.stack([mean_C, variance_C])
        nothing = torch.zeros_like(own_2C)
        ranks = range(self._processes.size)
        # Each process fills its own row, so that the sum is the table of all: a gather with a gradient.
        table = torch.stack([own_2C if rank == self._processes.rank else nothing for rank in ranks])
        means_PC, variances_PC = _Total.apply(table).unbind(1)
        mean_C = means_PC.mean(dim=0)
        return mean_C, variances_PC.mean(dim=0) + (means_PC - mean_C).square().mean(dim=0)

    @torch.no_grad()
    def _remember(self, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
        """Move the running statistics as plain batch norm does: by the unbiased variance."""
        assert self.running_mean is not None, "no network here goes without running statistics"
        assert self.running_var is not None, "the same"
        assert self.num_batches_tracked is not None, "the same"
        assert self.momentum is not None, "no network here takes plain means"
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean_C, self.momentum)
        self.running_var.lerp_(variance_C * (count / (count - 1)), self.momentum)


def see_whole_batches(network: nn.Module, processes: Processes) -> None:
    """Replace, in place, the layers of a network whose outcome would depend on how a batch is dealt.

    Weights, statistics and their names stay, so that checkpoints fit any number of processes.
    """
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d) and processes.size > 1:
            network.add_module(name, SharedBatchNorm2d(child, processes))
        elif isinstance(child, nn.Dropout):
            network.add_module(name, ShardedDropout(child.p))
        else:
            see_whole_batches(child, processes)


@contextmanager
def held_spectral_norms(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Keep the singular vectors of spectral norms as they are: what has moved once a step moves no more."""
    norms = [
        module
        for network in networks
        for module in network.modules()
        if isinstance(module, parametrize.ParametrizationList)
    ]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
