"""The service's settings: read once from ``FORGER_*`` variables into a frozen, validated object."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from contract.layout import NAME_PATTERN
from service.errors import InvalidSettings

PREFIX = "FORGER_"

# Kubernetes gives every pod such variables for a Service named "forger"; they are no settings of ours.
_SERVICE_LINK = re.compile(r"FORGER_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")

Precision = Literal["float32", "float16"]

DEFAULT_NAME = "mnist"
"""The model that is the default when it is there and no other is configured."""

_KEY = r"^[A-Za-z0-9._~+/=-]{16,256}$"

_MODELS_BESIDE_SERVICE = Path(__file__).resolve().parent.parent / "models"


def _available_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Settings(BaseModel):
    """Everything that an operator may set; the description of each field says what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models_dir: Path = Field(_MODELS_BESIDE_SERVICE, description="an existing directory of models")
    default_model: str | None = Field(
        None, pattern=NAME_PATTERN, description="the name of a model in FORGER_MODELS_DIR"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto, cpu or cuda")
    precision: Precision = Field(
        "float32", description="float32, or float16 where models run on CUDA and have that variant"
    )
    threads: int = Field(
        default_factory=_available_cpus, ge=1, le=64, description="1 to 64 threads that run models"
    )
    max_images: int = Field(64, ge=1, le=4096, description="1 to 4096 images a request")
    max_vectors: int = Field(65_536, ge=1, le=1_048_576, description="1 to 1048576 vectors a request")
    max_frames: int = Field(512, ge=2, le=4096, description="2 to 4096 images an interpolation")
    max_batch: int = Field(32, ge=1, le=1024, description="1 to 1024 images a run of a model")
    queue_rows: int = Field(
        4096,
        ge=1,
        le=1_048_576,
        description="1 to 1048576 images waiting for a model, at least FORGER_MAX_IMAGES",
    )
    queue_vectors: int = Field(
        131_072,
        ge=1,
        le=16_777_216,
        description="1 to 16777216 vectors waiting for a model, at least FORGER_MAX_VECTORS",
    )
    deadline_ms: int = Field(30_000, ge=1, le=600_000, description="1 to 600000 milliseconds a request")
    max_body_bytes: int = Field(
        8 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024, description="1024 to 1073741824 bytes a body"
    )
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        (), description="origins such as https://example.org, separated by commas, or *"
    )
    api_keys: Annotated[tuple[Annotated[str, Field(pattern=_KEY)], ...], BeforeValidator(_split)] = Field(
        (),
        repr=False,
        description="keys of 16 to 256 letters, digits and . _ ~ + / = -, separated by commas, or nothing",
    )
    models_poll_s: float = Field(
        5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="0.1 to 3600 seconds between two looks at FORGER_MODELS_DIR, or 0 for none",
    )
    model_budget_mb: int = Field(
        1024, ge=16, le=65_536, description="16 to 65536 MiB that a model's files, or a run of it, may take"
    )
    state_file: Path | None = Field(
        None,
        description="a file for pins and unloaded models in a directory that can be written, "
        "or nothing: they last until the service stops",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        max_length=255,
        description="a proxy's path prefix such as /a/b, without a slash at its end, or nothing",
    )

    @field_validator("models_dir")
    @classmethod
    def _exists(cls, value: Path) -> Path:
        if not value.is_dir():
            raise ValueError("no such directory")
        return value.absolute()  # a link that leads elsewhere one day is followed then

    @field_validator("models_poll_s")
    @classmethod
    def _polls_seldom(cls, value: float) -> float:
        if 0 < value < 0.1:
            raise ValueError("too often")
        return value

    @field_validator("state_file", mode="before")
    @classmethod
    def _can_be_written(cls, value: object) -> object:
        if not isinstance(value, str | Path) or not str(value):
            return None
        path = Path(value).absolute()
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise ValueError("no file can be written there")
        return path

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s,*]+", origin):
                raise ValueError(f"{origin!r} is no origin")
        return origins

    @property
    def keys_are_on(self) -> bool:
        """Whether requests need keys."""
        return bool(self.api_keys)

    @property
    def model_budget_bytes(self) -> int:
        """The most bytes that a model's files, or a run of it, may take."""
        return self.model_budget_mb * 2**20

    @model_validator(mode="after")
    def _queues_hold_a_request(self) -> Settings:
        if self.queue_rows < self.max_images:
            raise ValueError("FORGER_QUEUE_ROWS must be at least FORGER_MAX_IMAGES")
        if self.queue_vectors < self.max_vectors:
            raise ValueError("FORGER_QUEUE_VECTORS must be at least FORGER_MAX_VECTORS")
        return self


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that the environment spells.

    Raises ``InvalidSettings`` naming the variable at fault, its fault and what is allowed.
    """
    given = {}
    for key, value in environ.items():
        if not key.startswith(PREFIX) or _SERVICE_LINK.fullmatch(key):
            continue
        name = key.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields or key != key.upper():
            known = ", ".join(PREFIX + field.upper() for field in Settings.model_fields)
            raise InvalidSettings(f"{key} is no setting; there are {known}")
        given[name] = value
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise InvalidSettings(_explain(error)) from error


def default_model_name(configured: str | None, available: Iterable[str]) -> str:
    """Return the default model's name; raises ``InvalidSettings`` if it cannot be served."""
    names = sorted(set(available))
    if not names:
        raise InvalidSettings("FORGER_MODELS_DIR: the directory holds no model that can be served")
    if configured is None:
        return DEFAULT_NAME if DEFAULT_NAME in names else names[0]
    if configured not in names:
        raise InvalidSettings(
            f"FORGER_DEFAULT_MODEL={configured!r}: no such model can be served; allowed: {', '.join(names)}"
        )
    return configured


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    allowed = Settings.model_fields[name].description
    # A key, even a wrong one, has no place in a log.
    shown = "" if name == "api_keys" else f"={first['input']!r}"
    return f"{PREFIX}{name.upper()}{shown}: {message}; allowed: {allowed}"
