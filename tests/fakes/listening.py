"""uvicorn on a free port of the loopback, with our protocol, over any ASGI app; and sockets to it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

import uvicorn

from service.errors import ForgerError
from service.http.protocol import ConnectionLimits, guarded_protocol
from service.settings import load_settings

PATIENCE_S = 30.0
QUICK = ConnectionLimits(
    head_timeout_s=0.4, stall_timeout_s=0.4, min_bytes_per_s=100, max_head_bytes=8192, max_connections=50
)
ROOMY = replace(QUICK, head_timeout_s=5.0, stall_timeout_s=5.0)
"""For what must pass: a busy machine may leave a test waiting for a moment."""
PATIENT = ConnectionLimits.of(load_settings({}))
"""As the service is configured, if by nobody."""


class App:
    """Reads each body and answers with its length, or 400 and what is wrong with it.

    GET /large answers with 32 MiB in many pieces.
    """

    def __init__(self) -> None:
        self.read = 0
        self.ended: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        status, length, more = 200, 0, True
        try:
            while more:
                message = await receive()
                length += len(message.get("body", b""))
                self.read = max(self.read, length)
                more = message.get("more_body", False)
            text = b"%d" % length
        except ForgerError as error:
            status, text = 400, str(error).encode()
        if scope["path"] == "/large":
            await self._send_large(send)
        else:
            headers = [(b"content-length", b"%d" % len(text))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": text})
        self.ended.append(scope["path"])

    async def _send_large(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for left in reversed(range(128)):
            await send({"type": "http.response.body", "body": bytes(2**18), "more_body": left > 0})


@dataclass
class Listening:
    """A running server, and what was refused at its door."""

    port: int
    server: uvicorn.Server
    refused: list[str] = field(default_factory=list)

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S))

    def get(self, path: str = "/") -> Answer:
        with self.connect() as client:
            client.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            return client.answer()


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._came = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def trickle(self, data: bytes, every_s: float) -> bool:
        """Send byte by byte until something comes back, or the connection ends; tell whether that was so."""
        for byte in data:
            try:
                self.socket.sendall(bytes([byte]))
                self.socket.settimeout(every_s)
                self._came += self.socket.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionError:
                return True
            finally:
                self.socket.settimeout(PATIENCE_S)
            return True
        return False

    def answer(self) -> Answer:
        """Return the next answer, whose length is stated."""
        while b"\r\n\r\n" not in self._came:
            self._more()
        head, _, rest = self._came.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        self._came = rest
        while len(self._came) < length:
            self._more()
        body, self._came = self._came[:length], self._came[length:]
        return Answer(int(status.split()[1]), headers, body)

    def _more(self) -> None:
        piece = self.socket.recv(65_536)
        assert piece, f"the connection ended after {self._came[:200]!r}"
        self._came += piece

    def rest(self) -> bytes:
        """Return what comes until the server closes the connection."""
        with suppress(ConnectionError):
            while piece := self.socket.recv(65_536):
                self._came += piece
        return self._came

    def is_closed(self) -> bool:
        """Tell whether the server closes the connection, having sent nothing more."""
        try:
            return not self._came and self.socket.recv(1) == b""
        except ConnectionError:
            return True


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what happens on a server's own thread."""
    patience = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < patience
        time.sleep(0.002)


@contextmanager
def listening(
    app: Any,
    loop: asyncio.AbstractEventLoop,
    limits: ConnectionLimits,
    notice: Any = None,
    **config: Any,
) -> Iterator[Listening]:
    """Serve an app on an event loop that runs already."""
    refused: list[str] = []
    protocol = guarded_protocol(limits, notice=notice or (lambda problem, _id: refused.append(problem.slug)))
    options = {"lifespan": "off", "log_config": None, "ws": "none", "timeout_keep_alive": 30, **config}
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, **options))
    door = socket.create_server(("127.0.0.1", 0), backlog=2048)
    ended = asyncio.run_coroutine_threadsafe(server.serve(sockets=[door]), loop)
    wait_until(lambda: server.started)
    try:
        yield Listening(door.getsockname()[1], server, refused)
    finally:
        server.force_exit = True
        server.should_exit = True
        ended.result(PATIENCE_S)
        door.close()


@contextmanager
def running_loop(make: Any) -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread."""
    loop = make()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
