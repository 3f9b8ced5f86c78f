"""A response of server-sent events: it begins once the work is admitted, and tells in itself how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import ClientLeft
from service.generation.studio import Showing, Studio
from service.http.answering import record
from service.http.patience import Patience
from service.http.presence import presence_of
from service.http.problems import problem_document
from service.packaging.events import EVENT_STREAM, event, events


class EventStream(Response):
    """The events of one order. What fails after the start is an ``error`` event with the problem in it."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        request: Request,
        showing: Showing,
        studio: Studio,
        headers: Mapping[str, str],
        count_delivered: Callable[[int], None],
    ) -> None:
        # A proxy that gathered the events first would spoil the point of them.
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
        super().__init__(headers={**headers, **unbuffered})
        del self.headers["content-length"]
        self._request = request
        self._showing = showing
        self._studio = studio
        self._count_delivered = count_delivered

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events as they come; a client that leaves ends the work for it."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with Patience(presence_of(self._request.scope, receive)) as patience:
                patience.watch()
                await self._send_events(send)
        except ClientLeft as error:
            record(error, self._request)
        finally:
            self._showing.close()

    async def _send_events(self, send: Send) -> None:
        try:
            async with aclosing(events(self._showing, self._studio)) as stream:
                async for rows, text in stream:
                    await send({"type": "http.response.body", "body": text, "more_body": True})
                    self._count_delivered(rows)
        except Exception as error:  # noqa: BLE001 - the answer has begun, so that every error belongs in it
            record(error, self._request)
            text = event("error", problem_document(error, self._request))
            await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
