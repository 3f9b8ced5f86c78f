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
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


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
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = (key[..., i].astype(np.uint64) for i in range(2))
    for _ in range(_ROUNDS):
        product_0 = _MULTIPLIER_0 * c0
        product_1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> _HALF) ^ c1 ^ k0,
            product_1 & _LOW,
            (product_0 >> _HALF) ^ c3 ^ k1,
            product_0 & _LOW,
        )
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1).astype(np.uint32)


def first_word(seed: int, index: int, stream: Stream) -> int:
    """Return the first random word of one (seed, index), as :func:`random_words` does of many.

    One is quicker without arrays: ten microseconds, not a hundred and fifty.
    """
    c0, c1, c2, c3 = 0, index & 0xFFFFFFFF, index >> 32, int(stream)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(_ROUNDS):
        product_0, product_1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            (product_1 >> 32) ^ c1 ^ k0,
            product_1 & 0xFFFFFFFF,
            (product_0 >> 32) ^ c3 ^ k1,
            product_0 & 0xFFFFFFFF,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
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
