"""How long a request's work goes on: until it is done, its deadline passes, or its client leaves.

Most requests are done in a few milliseconds. They pay for one timer; only from a fiftieth of a second on is
the connection watched, which takes a task of its own.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self

from starlette.types import Receive

from service.errors import ClientLeft, DeadlineExceeded, ForgerError

_WATCH_AFTER_S = 0.02


class Patience:
    """A ``with`` block whose work is cancelled when it runs out; the block then raises why.

    That is ``DeadlineExceeded``, or ``ClientLeft``, which nobody reads, and which the metrics count. The
    client's leaving is seen once :meth:`watch` was called: until then the work reads the request itself.
    """

    def __init__(self, receive: Receive, deadline: float = math.inf) -> None:
        """``deadline`` is a time of the running event loop's clock."""
        self.deadline = deadline
        self._receive = receive
        self._may_receive = False
        self._why: ForgerError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._departure: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._set_timer(self._loop.time())
        return self

    def watch(self) -> None:
        """Look out for the client's leaving from now on: the request was read."""
        self._may_receive = True

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._departure is not None:
            self._departure.remove_done_callback(self._left)
            self._departure.cancel()
            self._departure = None
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

    def _set_timer(self, now: float) -> None:
        """Be called when there is something to look at next."""
        at = self.deadline if self._departure is not None else min(self.deadline, now + _WATCH_AFTER_S)
        self._timer = None if at == math.inf else self._loop.call_at(at, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self.deadline:
            self._end(DeadlineExceeded("The deadline passed before the answer was ready."))
            return
        if self._may_receive and self._departure is None:
            self._departure = self._loop.create_task(self._until_it_leaves())
            self._departure.add_done_callback(self._left)
        self._set_timer(now)

    async def _until_it_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _left(self, departure: asyncio.Task[None]) -> None:
        if departure.cancelled():
            return
        departure.exception()  # marks it as seen: a connection that fails is one that is closed
        if self._departure is departure:  # else the block has ended in the very turn in which the client left
            self._end(ClientLeft("The client closed the connection."))

    def _end(self, why: ForgerError) -> None:
        if self._why is None:
            self._why = why
            self._task.cancel()
