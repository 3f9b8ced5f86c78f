"""A data set in memory: samples, labels, class names and the fixed split into training and held-out.

Shapes: N samples, H height, W width, C channels, V vector size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.digests import canonical_json
from contract.manifest import ImageOutput, VectorOutput
from contract.philox import Stream, random_words
from training.errors import DataError

HELD_OUT_FRACTION = 0.2
SPLIT_SEED = 0


@dataclass(frozen=True)
class Dataset:
    """Samples with labels, split for good into a training part and a held-out part.

    ``samples`` is uint8 ``[N, H, W, C]`` or float32 ``[N, V]``; ``labels`` is int64 ``[N]`` into
    ``class_names``, or None (both) for data without classes; ``held_out`` is bool ``[N]``.
    """

    name: str
    samples: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...] | None
    held_out: NDArray[np.bool_]
    description: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if (self.labels is None) != (self.class_names is None):
            raise DataError(f"{self.name}: labels and class names must both be given or both be absent")
        if len(self.held_out) != len(self.samples):
            raise DataError(f"{self.name}: {len(self.held_out)} split marks for {len(self.samples)} samples")

    @property
    def output(self) -> ImageOutput | VectorOutput:
        """What a generator of such samples must put out."""
        if self.samples.dtype == np.uint8:
            height, width, channels = self.samples.shape[1:]
            return ImageOutput(height=height, width=width, channels=channels)
        return VectorOutput(size=self.samples.shape[1])

    @property
    def classes(self) -> int | None:
        """How many classes there are, or None."""
        return None if self.class_names is None else len(self.class_names)

    @cached_property
    def digest(self) -> str:
        """``sha256:`` of the samples, labels, class names and split: the identity of the data."""
        head = {
            "samples": [str(self.samples.dtype), list(self.samples.shape)],
            "class_names": None if self.class_names is None else list(self.class_names),
        }
        digest = hashlib.sha256(canonical_json(head))
        digest.update(np.ascontiguousarray(self.samples).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        digest.update(np.ascontiguousarray(self.held_out).data)
        return "sha256:" + digest.hexdigest()

    def part(self, *, held_out: bool) -> Part:
        """Return the training part or the held-out part."""
        rows = np.flatnonzero(self.held_out == held_out)
        return Part(self.samples[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Part:
    """One side of the split: samples and their labels, as in :class:`Dataset`."""

    samples: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.samples)


def split(labels: NDArray[np.int64] | None, count: int, fraction: float) -> NDArray[np.bool_]:
    """Mark the held-out samples, bool ``[count]``: ``fraction`` of every class, at least one of each.

    The choice follows counter-based random words of each sample's position, so it is the same
    on every machine and with every library version.
    """
    positions = np.arange(count, dtype=np.uint64)
    seeds = np.full(count, SPLIT_SEED, dtype=np.uint64)
    rank = random_words(seeds, positions, Stream.LATENT, 1)[:, 0]
    held_out = np.zeros(count, dtype=np.bool_)
    for label in [None] if labels is None else np.unique(labels):
        members = np.arange(count) if label is None else np.flatnonzero(labels == label)
        if len(members) < 2:  # a lone image is trained on
            continue
        chosen = max(1, round(len(members) * fraction))
        held_out[members[np.argsort(rank[members], kind="stable")[:chosen]]] = True
    return held_out
