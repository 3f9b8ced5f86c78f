"""Settings of the models: where they are, and what runs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from contract.layout import NAME_PATTERN
from service.cpus import available_cpus

Precision = Literal["float32", "float16"]

_MODELS_BESIDE_SERVICE = Path(__file__).resolve().parents[2] / "models"


class ModelSettings(BaseModel):
    """Where the models are, what runs them, and what they may take."""

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
        default_factory=available_cpus,
        ge=1,
        le=64,
        title="How many threads a worker has to run models, and to encode. Default: the CPUs available, no "
        "more than a container's quota.",
        description="1 to 64 threads that run models",
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

    @property
    def model_budget_bytes(self) -> int:
        """The most bytes that a model's files, or a run of it, may take."""
        return self.model_budget_mb * 2**20
