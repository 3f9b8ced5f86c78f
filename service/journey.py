"""What becomes of one request inside, told to whoever follows it: a trace, when traces are switched on.

Otherwise nobody follows, and nothing is told. Times are of ``time.perf_counter``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Run:
    """A run of a model, with rows of one or more requests."""

    begun: float
    ended: float
    rows: int
    inference_began: float | None = None
    """When the model itself began, for so many seconds; None of a run that failed."""
    inference_s: float = 0.0
    error: Exception | None = None


class Journey(Protocol):
    """One request's way, followed."""

    def queued(self, model: str, digest: str, seed: int | None, rows: int) -> None:
        """It is known what is to be drawn, and the rows go to the queue."""

    def run_ended(self, run: Run, together: Sequence[Journey]) -> None:
        """A run with rows of these requests has ended; only the first of them is told."""

    def encoded(self, seconds: float) -> None:
        """The answer was made, just now, within so many seconds."""

    def failed(self, error: Exception) -> None:
        """The request ends in an error."""

    def answered(self, route: str, status: int) -> None:
        """The answer is complete."""
