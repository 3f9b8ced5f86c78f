"""What a key may be good for."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A part of the service. None implies another: a key opens what it names and nothing else."""

    GENERATE = "generate"
    """Draw, and learn what there is to draw."""
    ADMIN = "admin"
    """Change what is served."""
    METRICS = "metrics"
    """Read the metrics."""


ANY_SCOPE = ", ".join(Scope)
"""All scopes, as sentences list them."""
