"""The door of the service: who is let in, and how many are inside."""

from __future__ import annotations


class Door:
    """Open until the service stops; then nobody comes in, and whoever is inside finishes."""

    def __init__(self) -> None:
        self.is_closed = False
        """Whether new requests are refused."""
        self.inside = 0
        """How many requests were let in and are not answered yet."""

    def close(self) -> None:
        """Let nobody in from now on. May be called by a signal's handler."""
        self.is_closed = True
