"""Requests over raw HTTP/1.1, each with what became of it: cheap enough to besiege a server from beside it.

A *shot* is a request made ready beforehand, with the digest of the only right answer to it; a *reply* is
what came of one. To send a shot and check its answer takes about a tenth of a millisecond.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Self

_ESTABLISHED = 1


class Outcome(Enum):
    """How an exchange ended; whatever is not ``ANSWERED`` has no status."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Nobody listened: nothing was sent."""
    RESET = "reset"
    """The connection broke before the whole answer was there."""
    CLOSED = "closed"
    """The server closed the connection in good order, before the whole answer was there."""
    LATE = "late"
    """The client's own patience ran out, and it closed the connection."""


@dataclass(frozen=True, eq=False)
class Shot:
    """A request, ready to be sent: its bytes, what it asks for, and what must come of it."""

    wire: bytes
    rows: int = 0
    kind: str = ""
    digest: bytes | None = None
    """The SHA-256 of a right answer's body with status 200; None if it cannot be known."""

    @classmethod
    def post(
        cls,
        path: str,
        body: object,
        headers: Mapping[str, str] | None = None,
        *,
        kind: str = "",
        rows: int = 0,
        digest: bytes | None = None,
    ) -> Shot:
        """Return a request with a JSON body."""
        content = json.dumps(body).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
        return cls(_head("POST", path, fields) + content, rows, kind, digest)

    @classmethod
    def get(cls, path: str) -> Shot:
        """Return a request without a body."""
        return cls(_head("GET", path, {}), kind=path)


def _head(method: str, path: str, fields: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


@dataclass(slots=True)
class Reply:
    """What came of a shot. ``begun`` is a time of the loop's clock, as ``time.monotonic()`` tells it."""

    shot: Shot
    outcome: Outcome
    begun: float
    seconds: float
    is_fresh: bool
    """Whether the connection had been opened for it, rather than kept alive from another."""
    status: int = 0
    retry_after: bytes | None = None
    says_close: bool = False
    is_right: bool | None = None
    """Whether a 200's content is the expected one; None where nothing can be compared."""
    content: bytes = b""
    """The body, of any other status than 200, and of requests whose answer is not known beforehand."""


class _Answer:
    """An answer as it arrives: a head, and a body of the length that it declares."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head_end = -1
        self._whole = -1

    def feed(self, data: bytes) -> bool:
        """Take in what has come; tell whether that is all."""
        self._buffer += data
        if self._head_end < 0:
            self._head_end = self._buffer.find(b"\r\n\r\n")
            if self._head_end < 0:
                return False
            length = self.header(b"content-length")
            if length is None:
                raise ValueError(f"an answer without a length: {bytes(self._buffer[: self._head_end])!r}")
            self._whole = self._head_end + 4 + int(length)
        return len(self._buffer) >= self._whole

    @property
    def status(self) -> int:
        return int(self._buffer[9:12])

    @property
    def body(self) -> bytes:
        return bytes(self._buffer[self._head_end + 4 : self._whole])

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value; servers write the names in any case."""
        head = bytes(self._buffer[: self._head_end + 2])
        start = head.lower().find(b"\r\n" + name + b":")
        if start < 0:
            return None
        first = start + len(name) + 3
        return head[first : head.index(b"\r\n", first)].strip()


class _Connection(asyncio.Protocol):
    """One connection, on which one exchange at a time takes place."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._done: asyncio.Future[_Answer | Outcome] | None = None
        self._answer = _Answer()
        self._socket: socket.socket
        self._is_lost = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        if self._answer.feed(data):
            self._settle(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._settle(Outcome.CLOSED if exc is None else Outcome.RESET)

    def _settle(self, result: _Answer | Outcome) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(result)

    def is_open(self) -> bool:
        """Tell whether the server has not closed it, as the system knows at this moment.

        The event loop learns of a close only in its next turn. A client that looks right before it sends
        never sends on a connection that had been closed: what is then lost, the server has lost.
        """
        if self._is_lost or self._transport.is_closing():
            return False
        if not hasattr(socket, "TCP_INFO"):
            return True
        return self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED

    async def exchange(self, wire: bytes, patience_s: float) -> _Answer | Outcome:
        """Send a request; return its answer, or what came instead."""
        loop = asyncio.get_running_loop()
        self._answer = _Answer()
        done = self._done = loop.create_future()
        self._transport.write(wire)
        timer = loop.call_later(patience_s, self._settle, Outcome.LATE)
        try:
            return await done
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close it at once, whatever is under way."""
        self._transport.abort()


class Client:
    """Sends shots to a port of the loopback, over connections that it keeps alive."""

    def __init__(self, port: int, patience_s: float = 30.0) -> None:
        self._port = port
        self._patience_s = patience_s
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    async def send(self, shot: Shot, *, fresh: bool = False, patience_s: float | None = None) -> Reply:
        """Send a shot over a kept connection, if there is one and ``fresh`` is not asked for.

        When the patience runs out the client hangs up, as clients do.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        begun = time.monotonic()
        kept = None if fresh else self._kept()
        connection = kept or await self._opened(patience_s)
        if isinstance(connection, Outcome):
            return Reply(shot, connection, begun, time.monotonic() - begun, is_fresh=True)
        try:
            result = await connection.exchange(shot.wire, patience_s)
        except BaseException:
            connection.close()
            raise
        reply = Reply(shot, Outcome.ANSWERED, begun, time.monotonic() - begun, is_fresh=kept is None)
        if isinstance(result, Outcome):
            reply.outcome = result
            connection.close()
            return reply
        _read(reply, result)
        if fresh or reply.says_close:
            connection.close()
        else:
            self._idle.append(connection)
        return reply

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.close()
        return None

    async def _opened(self, patience_s: float) -> _Connection | Outcome:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience_s):
                _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        except ConnectionRefusedError:
            return Outcome.REFUSED
        except TimeoutError:
            return Outcome.LATE
        except OSError:
            return Outcome.RESET
        return connection


def _read(reply: Reply, answer: _Answer) -> None:
    reply.status = answer.status
    reply.retry_after = answer.header(b"retry-after")
    reply.says_close = (answer.header(b"connection") or b"").lower() == b"close"
    if reply.status == 200 and reply.shot.digest is not None:
        reply.is_right = hashlib.sha256(answer.body).digest() == reply.shot.digest
    else:
        reply.content = answer.body
