"""Whether a request's client is still there.

Our own protocols tell as soon as a connection is lost. Under another server ASGI has but one way to find
out: to receive, which takes a task for each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.types import Receive, Scope

_KEY = "forger.connection"
# Most requests are done in a few milliseconds, and never need the task.
_RECEIVE_AFTER_S = 0.02

Left = Callable[[], None]


class Presence(Protocol):
    """Tells when the client leaves."""

    def watch(self, left: Left) -> None:
        """Call ``left`` once when the client leaves, at once if it has; to be asked on the event loop."""

    def watch_no_more(self, left: Left) -> None:
        """Never call ``left`` from now on."""


class Connection:
    """A connection that its protocol says is lost; requests that it carries share it."""

    def __init__(self) -> None:
        self._is_lost = False
        self._watching: set[Left] = set()

    def carry(self, scope: Scope) -> None:
        """Leave this in the scope of a request, for :func:`presence_of`."""
        scope[_KEY] = self

    def lose(self) -> None:
        """Tell everybody that the client has left."""
        self._is_lost = True
        for left in list(self._watching):
            left()

    def watch(self, left: Left) -> None:
        """Call ``left`` when the connection is lost (``Presence``)."""
        if self._is_lost:
            left()
        else:
            self._watching.add(left)

    def watch_no_more(self, left: Left) -> None:
        """Never call ``left`` from now on (``Presence``)."""
        self._watching.discard(left)


class Receiving:
    """Finds out by receiving, which nobody else does any more once somebody watches."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._departure: asyncio.Task[None] | None = None

    def watch(self, left: Left) -> None:
        """Call ``left`` when the client leaves (``Presence``)."""
        self._timer = asyncio.get_running_loop().call_later(_RECEIVE_AFTER_S, self._begin, left)

    def watch_no_more(self, _left: Left) -> None:
        """Never call anybody from now on (``Presence``)."""
        if self._timer is not None:
            self._timer.cancel()
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None

    def _begin(self, left: Left) -> None:
        self._departure = asyncio.get_running_loop().create_task(self._until_it_leaves())
        self._departure.add_done_callback(lambda departure: self._ended(departure, left))

    async def _until_it_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _ended(self, departure: asyncio.Task[None], left: Left) -> None:
        if departure.cancelled():
            return
        departure.exception()  # marks it as seen: a connection that fails is one that is closed
        if self._departure is departure:  # else the watch has ended in the very turn in which the client left
            left()


def presence_of(scope: Scope, receive: Receive) -> Presence:
    """Return who tells when the client of a request leaves; ``receive`` is used if nobody else does."""
    connection: Connection | None = scope.get(_KEY)
    return Receiving(receive) if connection is None else connection
