"""A response whose bytes are all there, put together without what Starlette does for all other kinds."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response


class Whole(Response):
    """A whole answer of bytes."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str], status: int = 200) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", media_type.encode("latin-1")),
            *[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        ]
