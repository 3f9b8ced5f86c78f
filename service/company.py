"""Who else is there: whether a job is the only one, and has been for a while."""

from __future__ import annotations

_LONELY_S = 0.1
"""After so long without company a job is reckoned to be alone."""


class Company:
    """How many jobs there are, of all or of a kind, and when there last was more than one."""

    def __init__(self) -> None:
        self._jobs = 0
        self._crowded_at = 0.0

    def joined_by(self, job_at: float) -> None:
        """Count a job that comes at a time of the event loop's clock."""
        self._jobs += 1
        if self._jobs > 1:
            self._crowded_at = job_at

    def left_by_one(self) -> None:
        """Count a job no more."""
        self._jobs -= 1

    def is_of_one(self, now: float) -> bool:
        """Tell whether there is one job, and has been no other for a while."""
        return self._jobs == 1 and now > self._crowded_at + _LONELY_S
