"""The guard over uvicorn's httptools protocol."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import ForgerError, HeadTooLarge, MalformedRequest
from service.http.protocol.guard import BODY, HEAD, WHOLE, Guarded
from service.http.protocol.joined import Joined

_MOST_AHEAD = 128
"""Requests of a connection that wait for the answer to the first."""

_FRAMING_PER_BYTE = 16
"""So many bytes of chunk sizes, extensions and trailers may come with each byte of a body."""


class GuardedHttpTools(Guarded, HttpToolsProtocol):
    """uvicorn's fast protocol, within limits."""

    _piece = 0
    _body_bytes = 0
    _began_here = False

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see what is still to come."""
        self._unset_keepalive_if_required()
        if self.is_deaf:
            return
        before, cycle = self.phase, self.cycle
        self._piece, self._began_here = len(data), False
        self.received += self._piece
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to no other protocol: it is answered as it stands
        except httptools.HttpParserError as error:
            if self.phase == BODY and self.cycle is not cycle:
                self.body_begins()  # and has failed in the same piece
            self._wrong(_reason(error))
            return
        if self.phase == WHOLE and (before != WHOLE or self.cycle is not cycle):
            return
        self._look_at_rest(is_new=self.cycle is not cycle)

    def _look_at_rest(self, *, is_new: bool) -> None:
        """See what has come of a request that is not whole; ``is_new`` if its head has just ended."""
        if self.phase == BODY:
            if is_new:
                self.body_begins()
            elif self.received > self.limits.max_head_bytes + _FRAMING_PER_BYTE * self._body_bytes:
                self._wrong(MalformedRequest("The body has more framing than content."))
            return
        if self.phase == WHOLE:  # empty lines after a request: another head is awaited
            self.phase, self.since, self.received = HEAD, None, self._piece
        if self.since is None:
            self.since = self.loop.time()
        if self._began_here:  # what came before it in the same piece is not its own
            self.received = self._head_bytes()
        if self.received > self.limits.max_head_bytes:
            self._wrong(self._too_large())

    def _wrong(self, error: ForgerError) -> None:
        """End a connection that what came makes no sense on: with an answer, where one is due."""
        if self.phase == BODY:
            self.fail_body(error)
        elif self.is_answering():
            self.hear_no_more()
        else:
            self.refuse(error)

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(
            f"The request's head is larger than the limit of {self.limits.max_head_bytes} bytes."
        )

    def _head_bytes(self) -> int:
        """Return how large the head is, as far as the parser has told."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_message_begin(self) -> None:
        """Begin a head (a callback of the parser, like those below)."""
        if self.phase == WHOLE:
            self.phase, self.since, self.received, self._began_here = HEAD, None, self._piece, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the head."""
        most = self.limits.max_head_bytes
        if self.received > most and self._head_bytes() > most:
            raise self._too_large()
        if len(self.pipeline) >= _MOST_AHEAD:
            raise MalformedRequest(f"More than {_MOST_AHEAD} requests were sent ahead of their answers.")
        super().on_headers_complete()
        has_body = self.parser.get_method() != b"HEAD"
        self.cycle.transport = Joined(self.transport, self.loop, has_body=has_body)
        self.connection.carry(self.scope)
        self.phase, self._body_bytes = BODY, 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self.phase = WHOLE
        super().on_message_complete()


def _reason(error: httptools.HttpParserError) -> ForgerError:
    """Return why the parser stopped: an error of our own callbacks, or what was sent."""
    cause = error.__context__ or error.__cause__
    return cause if isinstance(cause, ForgerError) else MalformedRequest("What came is not HTTP.")
