"""How long a request's work goes on: until it is done, its deadline passes, or its client leaves."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self

from service.errors import ClientLeft, DeadlineExceeded, ForgerError
from service.http.presence import Presence


class Patience:
    """A ``with`` block whose work is cancelled when it runs out; the block then raises why.

    That is ``DeadlineExceeded``, or ``ClientLeft``, which nobody reads, and which the metrics count. The
    client's leaving is seen once :meth:`watch` was called: until then the work reads the request itself.
    """

    def __init__(self, presence: Presence, deadline: float = math.inf) -> None:
        """``deadline`` is a time of the running event loop's clock."""
        self.deadline = deadline
        self._presence = presence
        self._is_watched = False
        self._why: ForgerError | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        if self.deadline < math.inf:
            self._timer = loop.call_at(self.deadline, self._run_out, loop)
        return self

    def watch(self) -> None:
        """Look out for the client's leaving from now on: the request was read."""
        self._is_watched = True
        self._presence.watch(self._left)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_watched:
            self._presence.watch_no_more(self._left)
        # The error's traceback leads here: held by this object, it would be left to the garbage collector.
        why, self._why = self._why, None
        try:
            if why is not None and self._is_called_back() and kind is asyncio.CancelledError:
                raise why from None
        finally:
            del why

    def _is_called_back(self) -> bool:
        """Take the cancellation back; tell whether nobody else had asked for one too."""
        return self._task.uncancel() <= self._cancelled_before

    def _run_out(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop.time() < self.deadline:  # timers tick in milliseconds, and may come too early
            self._timer = loop.call_at(self.deadline, self._run_out, loop)
        else:
            self._end(DeadlineExceeded("The deadline passed before the answer was ready."))

    def _left(self) -> None:
        self._end(ClientLeft("The client closed the connection."))

    def _end(self, why: ForgerError) -> None:
        if self._why is None:
            self._why = why
            self._task.cancel()
