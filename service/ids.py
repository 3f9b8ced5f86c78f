"""Names for requests and answers: unlikely to meet again, and no secrets.

Asking the system for random bytes takes a dozen microseconds a time; it is asked once.
"""

from __future__ import annotations

import random

_random = random.Random()  # noqa: S311 - seeded by the system; nobody gains from guessing a name


def new_id(size: int) -> str:
    """Return ``size`` random bytes as hexadecimal digits."""
    return f"{_random.getrandbits(8 * size):0{2 * size}x}"
