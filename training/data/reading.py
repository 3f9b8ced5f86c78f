"""Many images are read at once, in threads; what comes of each does not depend on the others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from training.data.pixels import UnreadableImage, decoding
from training.data.source import Item

_Read = TypeVar("_Read")
_MOST_THREADS = 8
"""Each holds one image at its full size."""


def read_each(
    items: Sequence[Item], read: Callable[[int, Item], _Read], task: str
) -> tuple[list[tuple[int, _Read]], list[UnreadableImage]]:
    """Apply ``read`` to every item: results with their positions, and the faults, both in order.

    Faults are gathered, not raised, so that all can be told at once. ``task`` names the progress bar,
    which shows on a terminal only.
    """

    def attempt(numbered: tuple[int, Item]) -> _Read | UnreadableImage:
        position, item = numbered
        try:
            with decoding(item.title):
                return read(position, item)
        except UnreadableImage as fault:
            return fault

    results: list[tuple[int, _Read]] = []
    faults = []
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata; what matters is raised
        outcomes = tqdm(
            pool.map(attempt, enumerate(items)), total=len(items), desc=task, disable=None, leave=False
        )
        try:
            for position, outcome in enumerate(outcomes):
                if isinstance(outcome, UnreadableImage):
                    faults.append(outcome)
                else:
                    results.append((position, outcome))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results, faults
