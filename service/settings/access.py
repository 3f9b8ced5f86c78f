"""Settings of who may ask: keys, their limits, other origins, a proxy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, field_validator

from service.access.rates import RATE_ALLOWED, Rate

_KEY = r"^[A-Za-z0-9._~+/=-]{16,256}$"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _rate(value: object) -> object:
    return value if value is None or isinstance(value, Rate) else Rate.parse(value) if value else None


class AccessSettings(BaseModel):
    """Who may ask, from where, and how often."""

    api_keys: Annotated[tuple[Annotated[str, Field(pattern=_KEY)], ...], BeforeValidator(_split)] = Field(
        (),
        repr=False,
        title="The keys of which each request must bring one. Default: none, and the service is open.",
        description="keys of 16 to 256 letters, digits and . _ ~ + / = -, separated by commas, or nothing",
    )
    keys_file: Path | None = Field(
        None,
        title="A file of more keys, with scopes, expiry and limits of their own; see keys.md. Default: none.",
        description="a file of keys, which python -m service.access makes, or nothing",
    )
    key_requests: Annotated[Rate | None, BeforeValidator(_rate)] = Field(
        None,
        title="How many requests each key may send, unless its entry says otherwise. Default: any number.",
        description=f"requests that a key may send: {RATE_ALLOWED}; or nothing",
    )
    key_images: Annotated[Rate | None, BeforeValidator(_rate)] = Field(
        None,
        title="How many images each key may draw, unless its entry says otherwise. Default: any number.",
        description=f"images, or vectors, that a key may draw: {RATE_ALLOWED}; or nothing",
    )
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        (),
        title="The web pages whose scripts may call the service. Default: none.",
        description="origins such as https://example.org, separated by commas, or *",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        max_length=255,
        title="The prefix under which a reverse proxy shows the service.",
        description="a proxy's path prefix such as /a/b, without a slash at its end, or nothing",
    )

    @field_validator("keys_file", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("keys_file")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            is_file = value.is_file()
        except OSError as error:
            raise ValueError(f"cannot be looked at ({error.strerror})") from error
        if not is_file:
            raise ValueError("no such file")
        return value.absolute()

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s,*]+", origin):
                raise ValueError(f"{origin!r} is no origin")
        return origins

    @property
    def asks_for_keys(self) -> bool:
        """Whether any keys are configured: without them everything is open."""
        return bool(self.api_keys) or self.keys_file is not None
