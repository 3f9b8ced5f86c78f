"""What happens when a client closes the connection before it has its answer: the work for it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from service.errors import ClientLeft

ReturnT = TypeVar("ReturnT")


async def unless_client_leaves(receive: Receive, work: Coroutine[Any, Any, ReturnT]) -> ReturnT:
    """Return what the work returns; if the client closes the connection first, cancel it.

    The request's body must have been read. Raises ``ClientLeft``, which nobody reads, and which the
    metrics count.
    """
    task = asyncio.current_task()
    assert task is not None
    left = False

    def leave(departure: asyncio.Future[None]) -> None:
        nonlocal left
        if not departure.cancelled():
            departure.exception()  # marks it as seen: a connection that fails is one that is closed
            left = True
            task.cancel()

    departure = asyncio.get_running_loop().create_task(_departure(receive))
    departure.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if left and task.uncancel() == 0:
            raise ClientLeft("The client closed the connection.") from None
        raise
    finally:
        departure.remove_done_callback(leave)
        departure.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
