"""The client that awaits, waited for at each call, so that one test serves both clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from forger import AsyncClient, Client

KINDS = ("blocking", "awaiting")


class Awaited:
    """An ``AsyncClient``, or a namespace of one, whose methods are called like those of a ``Client``."""

    def __init__(self, face: object, runner: asyncio.Runner) -> None:
        self._face = face
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._face, name)
        if not callable(member):
            return Awaited(member, self._runner)

        def call(*given: Any, **named: Any) -> Any:
            async def wait() -> Any:
                returned = member(*given, **named)
                if isinstance(returned, AsyncIterator):
                    return [item async for item in returned]
                return await returned

            return self._runner.run(wait())

        return call


@contextmanager
def client_of(kind: str, url: str | None = None, **how: Any) -> Iterator[Any]:
    """Give a client of one of the kinds, to be called as one that blocks."""
    if kind == "blocking":
        with Client(url, **how) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        client = Awaited(AsyncClient(url, **how), runner)
        yield client
        client.close()
