"""Counts that are noted at once and written a moment later, many at a time.

To write a count into the files that worker processes share takes a few microseconds when the code for it is
at hand, and many times that when a model's weights have just passed through the processor's caches. What
comes within a fiftieth of a second is written together; a worker that is killed loses that much.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

_WRITE_AFTER_S = 0.02


class Tally:
    """Numbers on their way to the functions that take them in. Any thread may note one, and write them."""

    def __init__(self) -> None:
        self._noted: deque[tuple[Callable[[float], None], float]] = deque()
        self._is_due = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def note(self, take_in: Callable[[float], None], number: float) -> None:
        """Hand the number over soon, in order; at once where no event loop runs."""
        self._noted.append((take_in, number))
        if self._is_due:
            return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._note_elsewhere()
        else:
            self._set_timer(self._loop)

    def _note_elsewhere(self) -> None:
        """Have what was noted on another thread written by the loop that was seen last, if it still runs."""
        loop = self._loop
        try:
            if loop is None:
                self.write()
            else:
                loop.call_soon_threadsafe(self._set_timer, loop)
        except RuntimeError:  # it is closed
            self.write()

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_later(_WRITE_AFTER_S, self._write_in_time)

    def write(self) -> None:
        """Hand over all that was noted so far."""
        noted = self._noted
        while noted:
            try:
                take_in, number = noted.popleft()
            except IndexError:  # another thread writes too
                return
            take_in(number)

    def _write_in_time(self) -> None:
        self._is_due = False
        self.write()
