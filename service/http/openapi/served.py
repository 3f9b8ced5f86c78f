"""The document as it is served: built and serialised once, when it is first asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from contract.digests import sha256_digest


@dataclass(frozen=True)
class ServedFile:
    """Bytes that never change while the process lives, and the validator that names them."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, media_type: str) -> ServedFile:
        """Return the file, named by its content."""
        return cls(content, media_type, f'"{sha256_digest(content)}"')


class ServedDocument:
    """A document that is built by the first who asks; whoever asks meanwhile waits for it.

    It is built anew for the first who asks after its subject's number has changed.
    """

    def __init__(self, build: Callable[[], dict[str, Any]], subject: Callable[[], int] = int) -> None:
        self._build = build
        self._subject = subject
        self._lock = threading.Lock()
        self._file: tuple[int, ServedFile] | None = None

    async def file(self) -> ServedFile:
        """Return the document; building it takes a tenth of a second, away from the event loop."""
        if self._file is None or self._file[0] != self._subject():
            return await asyncio.to_thread(self._built)
        return self._file[1]

    def _built(self) -> ServedFile:
        with self._lock:
            subject = self._subject()
            if self._file is None or self._file[0] != subject:
                self._file = subject, ServedFile.of(orjson.dumps(self._build()), "application/json")
            return self._file[1]
