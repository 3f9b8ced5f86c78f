"""Settings of connections: what clients may send, and how slowly."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ConnectionSettings(BaseModel):
    """The bounds of what clients send, and of how slowly they do and read."""

    max_connections: int = Field(
        4096,
        ge=1,
        le=65_535,
        title="The most connections of a worker; further ones are answered with 503, and closed.",
        description="1 to 65535 connections",
    )
    max_head_bytes: int = Field(
        65_536,
        ge=1024,
        le=1_048_576,
        title="The largest head of a request, its path and headers; more is answered with 431.",
        description="1024 to 1048576 bytes",
    )
    max_body_bytes: int = Field(
        8 * 1024 * 1024,
        ge=1024,
        le=1024 * 1024 * 1024,
        title="The largest body of a request; more is answered with 413, unread.",
        description="1024 to 1073741824 bytes a body",
    )
    max_bodies_bytes: int = Field(
        256 * 1024 * 1024,
        ge=65_536,
        le=1024 * 1024 * 1024 * 1024,
        title="The most bytes of bodies that a worker holds at once, those up to 64 KiB not counted; a body "
        "for which there is no room is answered with 429.",
        description="65536 to 1099511627776 bytes, at least FORGER_MAX_BODY_BYTES",
    )
    head_timeout_ms: int = Field(
        10_000,
        ge=10,
        le=600_000,
        title="How long a client may take to send a request's head; later it is answered with 408.",
        description="10 to 600000 milliseconds",
    )
    stall_timeout_ms: int = Field(
        10_000,
        ge=10,
        le=600_000,
        title="The period of FORGER_MIN_BYTES_PER_S.",
        description="10 to 600000 milliseconds",
    )
    min_bytes_per_s: int = Field(
        500,
        ge=1,
        le=1_048_576,
        title="What a client must send of a body, and take of an answer, in each period of "
        "FORGER_STALL_TIMEOUT_MS; a slower body is answered with 408, a slower reader is cut off.",
        description="1 to 1048576 bytes a second",
    )
