"""Server-sent events as a client reads them, as they come or all at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.site import LocalService

Event = tuple[str, dict[str, Any]]


def parse_events(text: str) -> Iterator[Event]:
    """Yield (name, document) of each event; a stream that is not well formed fails the test."""
    *blocks, rest = text.split("\n\n")
    assert rest == "", "the last event is complete"
    for block in blocks:
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


class EventClient:
    """A client of one stream that can look at each piece when it comes, and leave in between.

    Its methods run on the service's event loop.
    """

    def __init__(self, service: LocalService, path: str, body: object) -> None:
        self._left = asyncio.Event()
        self._body: bytes | None = json.dumps(body).encode()
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"accept", b"text/event-stream")], "scheme": "http", "root_path": "",
            "server": ("forger.test", 80), "client": ("10.0.0.1", 1), "http_version": "1.1",
        }  # fmt: skip
        self.exchange = asyncio.ensure_future(service.edge(scope, self._receive, self._messages.put))

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            message = {"type": "http.request", "body": self._body, "more_body": False}
            self._body = None
            return message
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def start(self) -> int:
        """Return the status, once the answer has begun."""
        message = await self._messages.get()
        assert message["type"] == "http.response.start"
        return int(message["status"])

    async def piece(self) -> list[Event]:
        """Return the events of the next piece of the body; none at its end."""
        message = await self._messages.get()
        assert message["type"] == "http.response.body"
        return list(parse_events(message["body"].decode()))

    async def leave(self) -> None:
        """Close the connection, and return when the service is done with it."""
        self._left.set()
        await self.exchange
