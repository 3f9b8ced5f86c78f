"""Which samples stand in which batch, as a pure function of the run's seed and of how many were seen.

Nothing is kept between calls but a cache, so a resumed run goes on with exactly the next batch.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from contract.philox import Stream, random_words
from training.data.dataset import Part
from training.shards import Draws, Shard


class BatchOrder:
    """The endless order of a data set's rows: one seeded permutation after another."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = np.array([seed], dtype=np.uint64)
        self._epoch = -1
        self._permutation: NDArray[np.intp] = np.empty(0, dtype=np.intp)

    def _of_epoch(self, epoch: int) -> NDArray[np.intp]:
        if epoch != self._epoch:
            index = np.array([epoch], dtype=np.uint64)
            words = random_words(self._seed, index, Stream.LATENT, self._count)[0]
            self._permutation = np.argsort(words, kind="stable")
            self._epoch = epoch
        return self._permutation

    def rows(self, start: int, size: int) -> NDArray[np.intp]:
        """Return the rows at positions ``start`` to ``start + size - 1`` of the endless order."""
        assert start >= 0, "the order has a beginning"
        pieces = []
        while size > 0:
            epoch, offset = divmod(start, self._count)
            piece = self._of_epoch(epoch)[offset : offset + size]
            pieces.append(piece)
            start += len(piece)
            size -= len(piece)
        return np.concatenate(pieces)


class Batches:
    """Training samples as tensors on a device: images ``[N, C, H, W]`` in [-1, 1], vectors as they are."""

    def __init__(
        self,
        part: Part,
        classes: int | None,
        seed: int,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self._order = BatchOrder(len(part), seed)
        samples = torch.from_numpy(np.array(part.samples))
        self._is_image = samples.dtype == torch.uint8
        if self._is_image:
            samples = samples.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        self._samples = samples.to(device)
        self._classes = classes
        self._labels = None
        if classes is not None and part.labels is not None:
            self._labels = torch.from_numpy(np.array(part.labels)).to(device)

    def at(self, position: int, shard: Shard) -> tuple[Tensor, Tensor | None]:
        """Return a shard of the batch that starts at ``position``: samples, and class weights or None.

        Samples ``[N, ...]`` and class weights ``[N, K]``, N the shard's rows.
        """
        start = position + shard.number * shard.rows
        rows = torch.from_numpy(self._order.rows(start, shard.rows)).to(self._samples.device)
        samples = self._samples[rows]
        if self._is_image:
            samples = samples.float().sub_(127.5).div_(127.5)
        return samples, self._weights(rows)

    def random_class_weights(self, size: int, draws: Draws) -> Tensor | None:
        """Draw labels as often as the data has them: class weights ``[size, K]``, or None."""
        return self._weights(draws.integers(len(self._samples), size))

    def _weights(self, rows: Tensor) -> Tensor | None:
        if self._labels is None or self._classes is None:
            return None
        return functional.one_hot(self._labels[rows], self._classes).float()
