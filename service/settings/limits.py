"""Settings of how much is done for a request, and how long."""

from __future__ import annotations

from pydantic import BaseModel, Field


class LimitSettings(BaseModel):
    """The bounds of requests, of what waits, and of time."""

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
