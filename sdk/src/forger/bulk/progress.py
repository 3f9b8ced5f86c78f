"""A line that tells how far a run has come; nothing where no terminal is."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from forger.bulk.pace import Pace


class Progress:
    """A bar of images on standard error, with images a second, the time left and requests at once."""

    def __init__(self, n: int, done: int, pace: Pace, *, shown: bool | None = None) -> None:
        """``shown`` is whether to show it; None: where standard error is a terminal."""
        self._pace = pace
        hidden = None if shown is None else not shown
        self._bar = tqdm(total=n, initial=done, unit="image", disable=hidden, file=sys.stderr, smoothing=0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def came(self, images: int) -> None:
        """Take in that so many images came."""
        self._bar.set_postfix_str(f"{self._pace.limit} at once", refresh=False)
        self._bar.update(images)
