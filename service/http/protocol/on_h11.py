"""The guard over uvicorn's h11 protocol, for where httptools cannot be installed."""

from __future__ import annotations

import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import ForgerError, HeadTooLarge, MalformedRequest
from service.http.protocol.guard import BODY, HEAD, WHOLE, Guarded


class GuardedH11(Guarded, H11Protocol):
    """uvicorn's protocol of pure Python, within limits; h11 itself bounds the size of heads and framing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self.conn = h11.Connection(h11.SERVER, self.limits.max_head_bytes)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see what is still to come."""
        if self.is_deaf:
            return
        cycle = self.cycle
        self.received += len(data)
        super().data_received(data)
        self._look_at_rest(cycle, len(data))

    def _look_at_rest(self, cycle: object, came: int) -> None:
        """See what is still to come, where ``cycle`` was the last request before."""
        self.phase = self._phase()
        if self.cycle is not cycle:
            self.connection.carry(self.scope)
            self.since, self.received = None, came
            if self.phase == BODY:
                self.body_begins()
        if self.phase == HEAD and self.since is None:
            self.since = self.loop.time()

    def _phase(self) -> int:
        state = h11.DONE if self.is_deaf else self.conn.their_state
        if state is h11.SEND_BODY:
            return BODY
        return HEAD if state is h11.IDLE else WHOLE

    def on_response_complete(self) -> None:
        """Await another head, whose time begins with its first byte; or none."""
        if self.is_deaf:
            self.transport.close()
            return
        if self.phase == WHOLE:
            self.since, self.received = None, 0
        cycle = self.cycle
        super().on_response_complete()
        if self.cycle is not cycle:  # it was sent ahead
            self._look_at_rest(cycle, 0)

    def send_400_response(self, _msg: str) -> None:
        """End a connection that what came makes no sense on: with an answer, where one is due."""
        error = self._reason(sys.exception())
        if self.is_answering() and self.cycle.more_body:
            if self.phase != BODY:
                self.body_begins()  # and has failed in the same piece
            self.fail_body(error)
        elif self.is_answering():
            self.hear_no_more()
        else:
            self.refuse(error)

    def _reason(self, error: BaseException | None) -> ForgerError:
        if getattr(error, "error_status_hint", 400) == 431:
            most = self.limits.max_head_bytes
            return HeadTooLarge(f"The request's head is larger than the limit of {most} bytes.")
        return MalformedRequest("What came is not HTTP.")
