"""Philox 4x32-10: counter-based random words, the same for a (seed, index) wherever they are drawn.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.

It is written twice, since a call of numpy takes as long for one number as for a hundred: for many blocks in
arrays, and for few in Python's long integers, which hold a word of every block side by side.

Shapes: N rows, B blocks of four words.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]
Integers = Sequence[int] | NDArray[np.integer[Any]]

_ROUNDS = 10
_BITS = 32
_ONES = 0xFFFFFFFF
_LOW = np.uint64(_ONES)
_HALF = np.uint64(_BITS)
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WEYL_BY_ROUND = np.array([[turn * step for step in _WEYL] for turn in range(_ROUNDS)], np.uint64)
"""What is added to the two words of a key in each round: uint64 ``[10, 2]``, modulo 2^32 once added."""
_LANE = 64
"""The bits in which a packed word lies: as many as the product of two words has."""
_FEW_BLOCKS = 128
"""Computed in packed integers: of more, arrays are quicker."""


class Stream(IntEnum):
    """What a word is for; the fourth word of the counter."""

    LATENT = 0
    CLASS_CHOICE = 1
    JITTER = 2


def philox4x32(counter: UInt32, key: UInt32) -> UInt32:
    """Return the ten-round Philox 4x32 block of each counter.

    ``counter`` is uint32 ``[N, B, 4]`` and ``key`` uint32 ``[N, 2]``; the result is uint32 ``[N, B, 4]``.
    """
    words = np.array(counter.transpose(2, 0, 1), np.uint64, order="C")
    even, odd = words[0::2], words[1::2]
    multipliers = np.array(_MULTIPLIERS, np.uint64)[:, None, None]
    key_by_round = (key.astype(np.uint64).T[:, :, None] + _WEYL_BY_ROUND[:, :, None, None]) & _LOW
    for round_key in key_by_round:
        product = multipliers * even
        even = (product >> _HALF)[::-1] ^ odd
        even ^= round_key
        odd = (product & _LOW)[::-1]
    result = np.empty(counter.shape, np.uint32)
    result[..., 0], result[..., 2] = even
    result[..., 1], result[..., 3] = odd
    return result


def random_words(seeds_N: Integers, indices_N: Integers, stream: Stream, count: int) -> UInt32:
    """Return ``count`` random words for each (seed, index): uint32 ``[N, count]``.

    Key = the seed as two words, low first; counter = (block, index low, index high, stream);
    word j comes from lane j mod 4 of block j div 4.
    """
    blocks = -(-count // 4)
    if len(seeds_N) * blocks <= _FEW_BLOCKS:
        words = _packed_words(list(map(int, seeds_N)), list(map(int, indices_N)), stream, blocks)
    else:
        words = _array_words(np.asarray(seeds_N, np.uint64), np.asarray(indices_N, np.uint64), stream, blocks)
    return words[:, :count]


def _array_words(seeds_N: UInt64, indices_N: UInt64, stream: Stream, blocks: int) -> UInt32:
    """Return all words of the blocks of each (seed, index), uint32 ``[N, 4 * B]``."""
    key_N2 = np.empty((len(seeds_N), 2), np.uint32)
    key_N2[:, 0], key_N2[:, 1] = seeds_N & _LOW, seeds_N >> _HALF
    counter_NB4 = np.empty((len(seeds_N), blocks, 4), np.uint32)
    counter_NB4[..., 0] = np.arange(blocks, dtype=np.uint32)
    counter_NB4[..., 1] = (indices_N & _LOW)[:, None]
    counter_NB4[..., 2] = (indices_N >> _HALF)[:, None]
    counter_NB4[..., 3] = stream
    return philox4x32(counter_NB4, key_N2).reshape(len(seeds_N), 4 * blocks)


class _Lanes:
    """The lanes of R rows of B blocks in one integer: the first block of the first row lies lowest."""

    def __init__(self, rows: int, blocks: int) -> None:
        self._bytes = rows * blocks * _LANE // 8
        self._row_bits = blocks * _LANE
        self._row = sum(1 << block * _LANE for block in range(blocks))
        self.ones = self.spread([1] * rows)
        self.low = _ONES * self.ones
        numbers = sum(block << block * _LANE for block in range(blocks))
        self.blocks = sum(numbers << row * self._row_bits for row in range(rows))
        """In each lane the number of its block."""
        self.steps = tuple(step * self.ones for step in _WEYL)

    def spread(self, words: Sequence[int]) -> int:
        """Return an integer with each row's word in all lanes of the row."""
        packed = 0
        for word in reversed(words):
            packed = packed << self._row_bits | word * self._row
        return packed

    def unpacked(self, packed: int) -> UInt64:
        """Return the lanes as uint64 ``[R * B]``."""
        return np.frombuffer(packed.to_bytes(self._bytes, "little"), "<u8")


_lanes = lru_cache(maxsize=256)(_Lanes)


def _packed_words(seeds: list[int], indices: list[int], stream: Stream, blocks: int) -> UInt32:
    """Return what :func:`_array_words` does.

    A packed integer holds one word of every block, each in a lane of 64 bits: to multiply it by a word is to
    multiply every lane, as no product is longer than its lane.
    """
    lanes = _lanes(len(seeds), blocks)
    low, (step_0, step_1) = lanes.low, lanes.steps
    first, second = lanes.blocks, lanes.spread([index & _ONES for index in indices])
    third, fourth = lanes.spread([index >> _BITS for index in indices]), stream * lanes.ones
    key_0 = lanes.spread([seed & _ONES for seed in seeds])
    key_1 = lanes.spread([seed >> _BITS for seed in seeds])
    for _ in range(_ROUNDS):
        product, other = _MULTIPLIERS[0] * first, _MULTIPLIERS[1] * third
        first, second = ((other >> _BITS) & low) ^ second ^ key_0, other & low
        third, fourth = ((product >> _BITS) & low) ^ fourth ^ key_1, product & low
        key_0, key_1 = (key_0 + step_0) & low, (key_1 + step_1) & low
    pairs = np.empty((len(seeds) * blocks, 2), "<u8")
    pairs[:, 0] = lanes.unpacked(first | second << _BITS)
    pairs[:, 1] = lanes.unpacked(third | fourth << _BITS)
    return pairs.view("<u4").astype(np.uint32, copy=False).reshape(len(seeds), 4 * blocks)
