"""The random words are those of Random123, and depend on nothing but seed, index and stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.latents import MAX_SEED
from contract.philox import Stream, philox4x32, random_words

# Random123's known-answer vectors for philox4x32 with ten rounds: counter, key, result.
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]

numbers = st.integers(0, MAX_SEED)


def _words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], dtype=np.uint32)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_blocks_match_the_published_known_answers(counter: str, key: str, result: str) -> None:
    block = philox4x32(_words(counter)[None, None], _words(key)[None])
    assert block[0, 0].tolist() == _words(result).tolist()


@given(
    seed=numbers,
    index=numbers,
    stream=st.sampled_from(list(Stream)),
    count=st.sampled_from([1, 4, 10, 511, 512, 513, 600]),
)
def test_the_counter_is_block_index_low_index_high_stream(
    seed: int, index: int, stream: Stream, count: int
) -> None:
    """Word j is lane j mod 4 of the block whose counter starts with j div 4, of few words and of many."""
    key = np.array([[seed % 2**32, seed // 2**32]], dtype=np.uint32)
    counters = [[block, index % 2**32, index // 2**32, stream] for block in range(150)]
    expected = philox4x32(np.array([counters], dtype=np.uint32), key).ravel()[:count]
    assert random_words([seed], [index], stream, count)[0].tolist() == expected.tolist()


@given(seeds=st.lists(numbers, min_size=1, max_size=5), index=numbers, count=st.sampled_from([7, 250]))
def test_a_row_does_not_depend_on_its_neighbours(seeds: list[int], index: int, count: int) -> None:
    """Two hundred and fifty words of two rows are few, of three they are many."""
    together = random_words(seeds, [index] * len(seeds), Stream.LATENT, count)
    alone = [random_words([seed], [index], Stream.LATENT, count)[0] for seed in seeds]
    assert np.array_equal(together, np.stack(alone))


def test_no_rows_have_no_words() -> None:
    assert random_words([], [], Stream.LATENT, 9).shape == (0, 9)


def test_streams_of_one_seed_differ() -> None:
    drawn = {stream: tuple(random_words([5], [9], stream, 4)[0].tolist()) for stream in Stream}
    assert len(set(drawn.values())) == len(Stream)
