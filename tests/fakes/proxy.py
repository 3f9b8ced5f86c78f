"""A TCP proxy that does harm: between a client and a real server it resets, delays, truncates, and refuses.

It reads whole requests and answers (HTTP/1.1 with Content-Length, as client and server write them), so
that it harms at a place that it chose. What it does to which is drawn from a seed, in the order of arrival.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

REFUSAL = (
    b'{"type": "/problems/queue-full", "title": "Too much work is waiting", "status": %d, "detail": "later"}'
)


class HarmfulProxy:
    """A proxy on a free port of the loopback; use it in a ``with`` statement.

    ``rates`` are the shares of requests that meet each harm: ``reset`` (the connection is cut before the
    request is passed on), ``reset-after`` (it is cut when the answer is there), ``truncate`` (half of the
    answer comes, then it is cut), ``delay`` (an answer comes late), ``429``, ``503`` (refused, with
    Retry-After 0), ``429-bare`` and ``503-bare`` (without), ``502-page`` (refused with a page).
    """

    def __init__(self, port: int, rates: Mapping[str, float], seed: int = 0) -> None:
        self._upstream = port
        self._rates = rates
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.harms: Counter[str] = Counter()
        """How often each harm was done; ``none`` counts requests that met none."""
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        begin = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(begin, self._loop).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _harm(self) -> str:
        point = self._random.random()
        for harm, rate in self._rates.items():
            point -= rate
            if point < 0:
                self.harms[harm] += 1
                return harm
        self.harms["none"] += 1
        return "none"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass requests of one connection on, one after the other, until a harm ends it or a side leaves."""
        up_writer: asyncio.StreamWriter | None = None
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
            while (request := await _message(reader)) is not None:
                harm = self._harm()
                if harm == "reset":
                    break
                if harm[:3].isdecimal():
                    writer.write(_refusal(harm))
                    continue
                up_writer.write(request)
                answer = await _message(up_reader)
                if answer is None or harm == "reset-after":
                    break
                if harm == "truncate":
                    writer.write(answer[: len(answer) // 2])
                    await writer.drain()
                    break
                if harm == "delay":
                    await asyncio.sleep(0.05)
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for side in (writer, up_writer):
                if side is not None:
                    side.transport.abort()  # a reset, not a farewell


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """Return one whole request or answer; None when the other side has left."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return head + await reader.readexactly(int(value))
        return head
    return None


def _refusal(harm: str) -> bytes:
    status = int(harm[:3])
    asked = b"" if "-" in harm else b"Retry-After: 0\r\n"
    form, body = b"application/problem+json", REFUSAL % status
    if harm.endswith("page"):
        form, body = b"text/html", b"<h1>Bad Gateway</h1>"
    return b"HTTP/1.1 %d No\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status, form, asked, len(body), body,
    )  # fmt: skip
