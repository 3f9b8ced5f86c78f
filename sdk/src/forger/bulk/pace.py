"""How many requests are under way at once: one more after each round that went well, half after a refusal.

Source: additive increase, multiplicative decrease; D.-M. Chiu and R. Jain, 1989.
"""

from __future__ import annotations

from forger.errors import Misuse


class Pace:
    """The number of requests that may be under way."""

    def __init__(self, most: int, first: int = 2) -> None:
        if most < 1:
            raise Misuse(f"concurrency must be at least 1, not {most}")
        self._most = most
        self._limit = float(min(first, most))
        self._round = 0

    @property
    def limit(self) -> int:
        """The most requests under way, at least 1."""
        return int(self._limit)

    @property
    def round(self) -> int:
        """The number of times that it was halved; a request remembers the one in which it was sent."""
        return self._round

    def went_well(self) -> None:
        """Take in that a request was answered."""
        self._limit = min(self._most, self._limit + 1 / self._limit)

    def was_refused(self, sent_in: int) -> None:
        """Take in a 429 or 503; several of one round, which all tell the same, count once."""
        if sent_in == self._round:
            self._limit = max(1.0, self._limit / 2)
            self._round += 1
