"""A server that refuses whatever it is sent, with next to no work of its own.

A besieger on the service's own machine takes processor time for every request that it sends. What the service
does beside requests that *this* server refuses shows how much that is.

    python -m tests.chaos.serving.refuser PORT
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.fakes.server import ROOT, free_port

_REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"
_PATIENCE_S = 20.0


class _Refusing(asyncio.Protocol):
    """One connection; a request is as long as the first piece of it, as those of besiegers are."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(_REFUSAL)


@contextmanager
def refuser() -> Iterator[int]:
    """Start the server in a process of its own; the block is given its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.serving.refuser", str(port)], cwd=ROOT, stdin=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + _PATIENCE_S
        while not psutil.Process(process.pid).net_connections():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server that refuses does not start")
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Refusing, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
