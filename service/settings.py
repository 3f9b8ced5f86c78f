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
from service.access.rates import RATE_ALLOWED, Rate
from service.errors import InvalidSettings

PREFIX = "FORGER_"

# Kubernetes gives every pod such variables for a Service named "forger"; they are no settings of ours.
_SERVICE_LINK = re.compile(r"FORGER_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")

Precision = Literal["float32", "float16"]

DEFAULT_NAME = "mnist"
"""The model that is the default when it is there and no other is configured."""

_MOST_SHOWN = 100
"""So many characters of what is wrong are told."""

_KEY = r"^[A-Za-z0-9._~+/=-]{16,256}$"

_MODELS_BESIDE_SERVICE = Path(__file__).resolve().parent.parent / "models"


def _available_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _rate(value: object) -> object:
    return value if value is None or isinstance(value, Rate) else Rate.parse(value) if value else None


class Settings(BaseModel):
    """Everything that an operator may set.

    Of each field, the title says what it does and the description what is allowed; one that is secret has
    ``repr=False``. ``docs/settings.md`` is made of them.
    """

    # A key, even a wrong one, has no place in a log, nor in a stack trace.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    models_dir: Path = Field(
        _MODELS_BESIDE_SERVICE,
        title="Where the models are. Default: `models/` beside the code.",
        description="an existing directory of models",
    )
    default_model: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        title="What requests without `model` get. Default: `mnist` if it is there, else the first by name.",
        description="the name of a model in FORGER_MODELS_DIR",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        title="What runs the models; `auto` is CUDA where there is a device.",
        description="auto, cpu or cuda",
    )
    precision: Precision = Field(
        "float32",
        title="The weights' precision.",
        description="float32, or float16 where models run on CUDA and have that variant",
    )
    threads: int = Field(
        default_factory=_available_cpus,
        ge=1,
        le=64,
        title="How many threads a worker has to run models, and to encode. Default: the CPUs available.",
        description="1 to 64 threads that run models",
    )
    max_images: int = Field(
        64, ge=1, le=4096, title="The most images of a request.", description="1 to 4096 images a request"
    )
    max_vectors: int = Field(
        65_536,
        ge=1,
        le=1_048_576,
        title="The most vectors of a request.",
        description="1 to 1048576 vectors a request",
    )
    max_frames: int = Field(
        512,
        ge=2,
        le=4096,
        title="The most images of an interpolation.",
        description="2 to 4096 images an interpolation",
    )
    max_batch: int = Field(
        32,
        ge=1,
        le=1024,
        title="The most images that run together.",
        description="1 to 1024 images a run of a model",
    )
    queue_rows: int = Field(
        4096,
        ge=1,
        le=1_048_576,
        title="How many images may wait for a model; more are answered with 429.",
        description="1 to 1048576 images waiting for a model, at least FORGER_MAX_IMAGES",
    )
    queue_vectors: int = Field(
        131_072,
        ge=1,
        le=16_777_216,
        title="How many vectors may wait for a model; more are answered with 429.",
        description="1 to 16777216 vectors waiting for a model, at least FORGER_MAX_VECTORS",
    )
    deadline_ms: int = Field(
        30_000,
        ge=1,
        le=600_000,
        title="How long a request may take; `X-Timeout-Ms` shortens it. Later the answer is 504.",
        description="1 to 600000 milliseconds a request",
    )
    grace_ms: int = Field(
        30_000,
        ge=0,
        le=600_000,
        title="How long requests are finished when the service is told to stop; what remains is cut off.",
        description="0 to 600000 milliseconds to finish requests in when stopped",
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
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        (),
        title="The web pages whose scripts may call the service. Default: none.",
        description="origins such as https://example.org, separated by commas, or *",
    )
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
    models_poll_s: float = Field(
        5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        title="How often the directory of models is looked at: versions that came are served.",
        description="0.1 to 3600 seconds between two looks at FORGER_MODELS_DIR, or 0 for none",
    )
    model_budget_mb: int = Field(
        1024,
        ge=16,
        le=65_536,
        title="What a model may take; one that would take more is refused.",
        description="16 to 65536 MiB that a model's files, or a run of it, may take",
    )
    state_file: Path | None = Field(
        None,
        title="Where pins and unloaded models are kept. Default: they last until the service stops.",
        description="a file for pins and unloaded models in a directory that can be written, or nothing",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        max_length=255,
        title="The prefix under which a reverse proxy shows the service.",
        description="a proxy's path prefix such as /a/b, without a slash at its end, or nothing",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        title="How log lines are written to stderr; `auto` is text on a terminal, else a JSON object a line.",
        description="auto, json or text",
    )
    log_requests: Literal["on", "off"] = Field(
        "on", title="Whether each request leaves a line in the log.", description="on or off"
    )
    traces: Literal["off", "otlp", "console"] = Field(
        "off",
        title="Where OpenTelemetry spans go: to a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`), or to stderr.",
        description="off, otlp or console",
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
    max_head_bytes: int = Field(
        65_536,
        ge=1024,
        le=1_048_576,
        title="The largest head of a request, its path and headers; more is answered with 431.",
        description="1024 to 1048576 bytes",
    )
    max_connections: int = Field(
        4096,
        ge=1,
        le=65_535,
        title="The most connections of a worker; further ones are answered with 503, and closed.",
        description="1 to 65535 connections",
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
        if not str(value).isprintable() or path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise ValueError("no file can be written there")
        return path

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

    @model_validator(mode="after")
    def _limits_need_keys(self) -> Settings:
        for name in ("key_requests", "key_images"):
            if getattr(self, name) is not None and not self.asks_for_keys:
                raise ValueError(
                    f"{PREFIX}{name.upper()} is a limit of each key, and none are asked for; "
                    "set FORGER_KEYS_FILE or FORGER_API_KEYS"
                )
        return self

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
        if self.max_bodies_bytes < self.max_body_bytes:
            raise ValueError("FORGER_MAX_BODIES_BYTES must be at least FORGER_MAX_BODY_BYTES")
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
            raise InvalidSettings(f"{ascii(key[:_MOST_SHOWN])[1:-1]} is no setting; there are {known}")
        given[name] = value
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise InvalidSettings(_explain(error, given)) from error


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


def _explain(error: ValidationError, given: Mapping[str, str]) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    field = Settings.model_fields[name]
    # A key, even a wrong one, has no place in a log.
    shown = f"={given[name][:_MOST_SHOWN]!r}" if field.repr else ""
    return f"{PREFIX}{name.upper()}{shown}: {message}; allowed: {field.description}"
