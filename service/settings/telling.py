"""Settings of what the service tells: logs and traces."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class TellingSettings(BaseModel):
    """What the service tells of its work."""

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
