"""Has the head of an answer leave together with its body.

uvicorn hands a transport the head first and the body then, and uvloop asks the system to send each at once:
two system calls, and the client is woken for a head that it can do nothing with.
"""

from __future__ import annotations

import asyncio
from typing import Any

_INTERIM = b"HTTP/1.1 100"
_WORTH_COPYING = 64 * 1024
"""What is larger is not copied behind its head."""


class Joined:
    """The transport of one answer, whose head waits for what follows in the same turn of the event loop.

    What is written once the connection closes is for nobody: uvicorn notes that a client has left on its last
    request only, and it may have sent others ahead of their answers.
    """

    __slots__ = ("_head", "_is_begun", "_loop", "_transport")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, *, has_body: bool) -> None:  # noqa: ANN401 - asyncio's or uvloop's
        """A head that no body follows (``has_body``) waits for nothing."""
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._is_begun = not has_body

    def write(self, data: bytes) -> None:
        """Send the next bytes of the answer: the head when something follows, or the turn ends."""
        if self._transport.is_closing():
            return
        if self._head:
            head, self._head = self._head, b""
            if len(data) > _WORTH_COPYING:
                self._transport.write(head)
            else:
                data = head + data
            self._transport.write(data)
        elif self._is_begun or data.startswith(_INTERIM):
            self._transport.write(data)
        else:
            self._is_begun, self._head = True, data
            self._loop.call_soon(self._let_go)

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._let_go()
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether the connection is being closed."""
        return bool(self._transport.is_closing())

    def _let_go(self) -> None:
        """Send a head that nothing has followed."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
