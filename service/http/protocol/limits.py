"""What a client may take of a connection's time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from service.settings import Settings


@dataclass(frozen=True)
class ConnectionLimits:
    """The limits of each connection, and of their number in a process."""

    head_timeout_s: float
    """From the connection, or the first byte of a further request, to the end of the head."""
    stall_timeout_s: float
    """The period over which the rate is looked at, of a body that comes and of an answer that is read."""
    min_bytes_per_s: float
    max_head_bytes: int
    max_connections: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that the settings ask for."""
        return cls(
            settings.head_timeout_ms / 1000,
            settings.stall_timeout_ms / 1000,
            settings.min_bytes_per_s,
            settings.max_head_bytes,
            settings.max_connections,
        )

    @property
    def least_bytes(self) -> float:
        """How much must move in each period."""
        return self.min_bytes_per_s * self.stall_timeout_s

    @property
    def look_every_s(self) -> float:
        """How often connections are looked at: a limit is exceeded by no more than a quarter."""
        return max(0.01, min(1.0, self.head_timeout_s / 4, self.stall_timeout_s / 4))
