"""What a connection is allowed, whichever parser reads it: time for heads, for bodies, for reading answers.

A connection is in one of three phases: a *head* is awaited or coming, a *body* is coming, or the request is
*whole*. While it is whole nothing here is called, so that an ordinary request, which comes in one piece,
pays for a few assignments.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sys
import termios
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from service.errors import ForgerError, RequestTooSlow, Unavailable
from service.http.presence import Connection
from service.http.problems import Problem, problem_bytes, problem_of
from service.http.protocol.limits import ConnectionLimits
from service.http.protocol.sweeper import Sweeper
from service.ids import new_id

logger = logging.getLogger("forger.http")

Notice = Callable[[Problem, str], None]

HEAD, BODY, WHOLE = range(3)

_LINGER_S = 1.0
"""How long a connection stays open after its last answer, so that the client can read it."""

_MOST_REFUSED = 64
_INT = bytes(4)
# Between the marks of a transport's buffer at which writing is paused and resumed.
_RESUMED_BYTES = 48 * 1024


class Guarded(asyncio.Protocol):
    """A mixin in front of one of uvicorn's protocols, whose attributes these are."""

    limits: ClassVar[ConnectionLimits]
    sweeper: ClassVar[Sweeper]
    url_prefix: ClassVar[str]
    notice: ClassVar[Notice]

    transport: Any
    flow: Any
    cycle: Any
    scope: Any
    loop: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self.connection = Connection()
        self.ws_protocol_class: Any = None  # an upgraded connection would escape the limits
        self.phase = HEAD
        self.since: Any = None  # when the head began, or this period of the body
        self.received = 0  # bytes since the head began, or after the body's first piece
        self.received_before = 0  # of them, before this period
        self.is_deaf = False  # whatever comes is thrown away
        self.fault: ForgerError | None = None  # what is wrong with the body
        self._was_answered = False
        self._ends_at: float | None = None
        self._writing_since: float | None = None
        self._unwritten = 0
        self._written = 0

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's
        """Begin, if there is room for one more."""
        super().connection_made(transport)
        sweeper = self.sweeper
        if len(sweeper.served) < self.limits.max_connections:
            self.since = self.loop.time()
            sweeper.add(self, sweeper.served)
        elif len(sweeper.refused) < _MOST_REFUSED:
            sweeper.add(self, sweeper.refused)
            self.refuse(Unavailable("The service has as many connections as it takes."))
        else:
            self.is_deaf = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.sweeper.forget(self)
        super().connection_lost(exc)
        self.connection.lose()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._written += _RESUMED_BYTES
        super().resume_writing()

    def look(self, now: float) -> None:
        """See whether the client keeps to the limits (``sweeper.Looked``)."""
        if self._ends_at is not None:
            if now >= self._ends_at:
                self.transport.abort()
            return
        if self._reads_too_slowly(now):
            logger.info("a client that does not read its answer is cut off", extra={"event": "slow-reader"})
            self.transport.abort()
        elif self.phase == HEAD:
            self._look_at_head(now)
        elif self.phase == BODY:
            self._look_at_body(now)

    def _reads_too_slowly(self, now: float) -> bool:
        unwritten = self.transport.get_write_buffer_size()
        if unwritten == 0:
            self._writing_since = None
            return False
        unwritten += self._unsent_by_system()
        if self._writing_since is None:
            self._writing_since, self._written = now, 0
        else:
            self._written += max(0, self._unwritten - unwritten)
        self._unwritten = unwritten
        if now - self._writing_since < self.limits.stall_timeout_s:
            return False
        too_slow = self._written < self.limits.least_bytes
        self._writing_since, self._written = now, 0
        return too_slow

    def _unsent_by_system(self) -> int:
        """Return how much the system holds for the client.

        It takes more from us only when a third of its own buffer, megabytes, is free again: by what it takes
        alone, a reader of a hundred kilobytes a second would seem to stand still.
        """
        try:
            number = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, _INT)
        except (OSError, AttributeError):  # another system, or a transport that is no socket
            return 0
        return int.from_bytes(number, sys.byteorder)

    def _look_at_head(self, now: float) -> None:
        if self.is_answering():
            self.since = now  # it may wait for us
        if self.since is None or now - self.since < self.limits.head_timeout_s:
            return
        if self.received == 0:
            self.transport.close()  # a connection that was never used: there is nothing to answer
        else:
            seconds = self.limits.head_timeout_s
            self.refuse(RequestTooSlow(f"The request's head took longer than {seconds:g} seconds."))

    def _look_at_body(self, now: float) -> None:
        answered = self.cycle.response_complete
        waits_for_us = self.flow.read_paused and not answered
        if waits_for_us or answered != self._was_answered:
            self._was_answered = answered
            self.since, self.received_before = now, self.received
        if now - self.since < self.limits.stall_timeout_s:
            return
        came = self.received - self.received_before
        if answered:
            self.transport.close()  # and there was time to send the rest, which nobody reads
        elif came < self.limits.least_bytes:
            rate = self.limits.min_bytes_per_s
            self.fail_body(RequestTooSlow(f"The body came at less than {rate:g} bytes a second."))
        else:
            self.since, self.received_before = now, self.received

    def is_answering(self) -> bool:
        """Tell whether an answer is not complete yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def body_begins(self) -> None:
        """Have whoever reads the request's body told of what is wrong with it; it has not begun to read."""
        self.since, self.received, self.received_before = self.loop.time(), 0, 0
        self._was_answered = False
        # Weak, for otherwise each would keep the other until the collector comes by.
        self.cycle.receive = partial(_receive, weakref.ref(self), weakref.ref(self.cycle))

    def fail_body(self, error: ForgerError) -> None:
        """Let the body that is coming, and has begun, end in an error, and the connection with its answer."""
        self.fault = error
        self.hear_no_more()
        if self.cycle.response_complete:
            self.transport.close()
        self.cycle.message_event.set()

    def has_failed(self, cycle: object) -> bool:
        """Tell whether it is this request's body that something is wrong with: it can only be the last."""
        return self.fault is not None and cycle is self.cycle

    def hear_no_more(self) -> None:
        """Close the connection after the answer that is being made; throw away what comes until then."""
        self.is_deaf = True
        self.cycle.keep_alive = False
        self.phase = WHOLE

    def refuse(self, error: ForgerError) -> None:
        """Answer with a problem where there is no request, and close: not before the client could read it."""
        self.is_deaf = True
        request_id = new_id(16)
        self.transport.write(problem_bytes(error, request_id, self.url_prefix))
        type(self).notice(problem_of(error), request_id)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._ends_at = self.loop.time() + _LINGER_S
        else:
            self.transport.close()
            self._ends_at = self.loop.time() + self.limits.stall_timeout_s


async def _receive(find_guard: weakref.ref[Guarded], find_cycle: weakref.ref[Any]) -> Any:  # noqa: ANN401 - ASGI's
    """Return the next message of a request's body, or raise what is wrong with it."""
    guard, cycle = find_guard(), find_cycle()
    if guard is None or cycle is None:
        return {"type": "http.disconnect"}
    message = None if guard.has_failed(cycle) else await type(cycle).receive(cycle)
    if guard.fault is not None and guard.has_failed(cycle):
        raise guard.fault
    return message
