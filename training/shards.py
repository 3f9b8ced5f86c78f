"""The shard of a batch that is played at a time, and the random numbers that belong to its rows.

A batch may be dealt to several processes, and each may play its part in pieces. Whatever is random is drawn
for the whole batch, by everyone alike, and each keeps the numbers of its rows: so a run does not depend on
how its batches are dealt.

Shapes: N rows at hand, of one shard; a tensor may hold several batches one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shard:
    """One of ``count`` equal parts of every batch, ``rows`` rows long."""

    rows: int
    number: int = 0
    count: int = 1

    def of(self, whole: Tensor) -> Tensor:
        """Return this shard's rows of one or more whole batches that lie one after the other."""
        if self.count == 1:
            return whole
        return whole.unflatten(0, (-1, self.count, self.rows))[:, self.number].flatten(0, 1)


class Draws:
    """Random numbers on the generator's device for the rows of a shard, or for all rows if there is none."""

    def __init__(self, generator: torch.Generator, shard: Shard | None = None) -> None:
        self.generator = generator
        self.shard = shard

    def _whole(self, rows: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (rows if self.shard is None else rows * self.shard.count, *shape)

    def _kept(self, whole: Tensor) -> Tensor:
        return whole if self.shard is None else self.shard.of(whole)

    def normal(self, rows: int, *shape: int) -> Tensor:
        """Return ``[rows, *shape]`` from N(0, 1)."""
        size = self._whole(rows, shape)
        return self._kept(torch.randn(size, generator=self.generator, device=self.generator.device))

    def uniform(self, rows: int, *shape: int) -> Tensor:
        """Return ``[rows, *shape]`` from [0, 1)."""
        size = self._whole(rows, shape)
        return self._kept(torch.rand(size, generator=self.generator, device=self.generator.device))

    def integers(self, end: int, rows: int, *shape: int) -> Tensor:
        """Return int64 ``[rows, *shape]`` from 0 to ``end - 1``."""
        size = self._whole(rows, shape)
        return self._kept(torch.randint(0, end, size, generator=self.generator, device=self.generator.device))


class ShardedDropout(nn.Dropout):
    """Dropout whose mask is drawn for the whole batch; on a CPU the very mask that plain dropout draws."""

    shard: Shard | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Zero a share of the values while training, and scale up the rest."""
        if self.shard is None or not self.training:
            return super().forward(input)
        whole = input.new_empty(len(input) * self.shard.count, *input.shape[1:])
        return input * self.shard.of(whole.bernoulli_(1.0 - self.p).div_(1.0 - self.p))


def set_shard(network: nn.Module, shard: Shard) -> None:
    """Tell the network's dropout which rows it is going to see."""
    for module in network.modules():
        if isinstance(module, ShardedDropout):
            module.shard = shard
