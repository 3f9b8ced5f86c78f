"""Philox 4x32-10: counter-based random words, the same for a (seed, index) wherever they are drawn.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.

Shapes: N rows, B blocks of four words.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

UInt32 = NDArray[np.uint32]

_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WEYL_BY_ROUND = np.array([[turn * step for step in _WEYL] for turn in range(_ROUNDS)], np.uint64)
"""What is added to the two words of a key in each round: uint64 ``[10, 2]``, modulo 2^32 once added."""


class Stream(IntEnum):
    """What a word is for; the fourth word of the counter."""

    LATENT = 0
    CLASS_CHOICE = 1
    JITTER = 2


def philox4x32(counter: UInt32, key: UInt32) -> UInt32:
    """Return the ten-round Philox 4x32 block of each counter.

    ``counter`` is uint32 ``[..., 4]`` and ``key`` uint32 ``[..., 2]``, broadcast over the leading
    axes; the result is uint32 ``[..., 4]``.
    """
    shape = np.broadcast_shapes(counter.shape[:-1], key.shape[:-1])
    by_word = (2, *(1 for _ in shape))
    multipliers = np.array(_MULTIPLIERS, np.uint64).reshape(by_word)
    key_by_round = (_words_first(key) + _WEYL_BY_ROUND.reshape(_ROUNDS, *by_word)) & _LOW
    words = _words_first(counter)
    even, odd = words[0::2], words[1::2]
    for round_key in key_by_round:
        product = multipliers * even
        even = (product >> _HALF)[::-1] ^ odd
        even ^= round_key
        odd = (product & _LOW)[::-1]
    result = np.empty((*shape, 4), np.uint32)
    result[..., 0::2] = np.moveaxis(even, 0, -1)
    result[..., 1::2] = np.moveaxis(odd, 0, -1)
    return result


def _words_first(words: UInt32) -> NDArray[np.uint64]:
    """Return uint32 ``[..., W]`` as uint64 ``[W, ...]``."""
    return np.moveaxis(words, -1, 0).astype(np.uint64, order="C")


def first_word(seed: int, index: int, stream: Stream) -> int:
    """Return the first random word of one (seed, index), as :func:`random_words` does of many.

    One is quicker without arrays: ten microseconds, not a hundred and fifty.
    """
    c0, c1, c2, c3 = 0, index & 0xFFFFFFFF, index >> 32, int(stream)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(_ROUNDS):
        product_0, product_1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product_1 >> 32) ^ c1 ^ k0,
            product_1 & 0xFFFFFFFF,
            (product_0 >> 32) ^ c3 ^ k1,
            product_0 & 0xFFFFFFFF,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0


def random_words(
    seeds_N: NDArray[np.uint64], indices_N: NDArray[np.uint64], stream: Stream, count: int
) -> UInt32:
    """Return ``count`` random words for each (seed, index): uint32 ``[N, count]``.

    Key = the seed as two words, low first; counter = (block, index low, index high, stream);
    word j comes from lane j mod 4 of block j div 4.
    """
    blocks = -(-count // 4)
    seeds = np.asarray(seeds_N, dtype=np.uint64)
    indices = np.asarray(indices_N, dtype=np.uint64)
    key_N2 = np.stack([seeds & _LOW, seeds >> _HALF], axis=-1).astype(np.uint32)
    counter_NB4 = np.empty((len(seeds), blocks, 4), dtype=np.uint32)
    counter_NB4[..., 0] = np.arange(blocks, dtype=np.uint32)
    counter_NB4[..., 1] = (indices & _LOW).astype(np.uint32)[:, None]
    counter_NB4[..., 2] = (indices >> _HALF).astype(np.uint32)[:, None]
    counter_NB4[..., 3] = np.uint32(stream)
    words = philox4x32(counter_NB4, key_N2[:, None, :])
    return words.reshape(len(seeds), blocks * 4)[:, :count]
