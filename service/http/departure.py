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
    task = asyncio.ensure_future(work)
    departure = asyncio.ensure_future(_departure(receive))
    try:
        await asyncio.wait({task, departure}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientLeft("The client closed the connection.")
    finally:
        task.cancel()
        departure.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
