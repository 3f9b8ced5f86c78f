"""How the rows of one run are shared out over the jobs that wait for it."""

from __future__ import annotations

from collections.abc import Sequence


def fair_shares(waiting: Sequence[int], limit: int) -> list[int]:
    """Share ``limit`` rows out over jobs with ``waiting`` rows each, as evenly as they can use.

    Earlier jobs get the remainder. The shares sum to min(limit, total waiting).
    """
    if sum(waiting) <= limit:
        return list(waiting)
    shares = [0] * len(waiting)
    hungry = [job for job, rows in enumerate(waiting) if rows > 0]
    left = limit
    while left > 0 and hungry:
        portion = max(1, left // len(hungry))
        for job in hungry:
            share = min(portion, waiting[job] - shares[job], left)
            shares[job] += share
            left -= share
        hungry = [job for job in hungry if shares[job] < waiting[job]]
    return shares


def shares_in_turns(waiting: Sequence[int], limit: int) -> list[int]:
    """Give out ``limit`` rows to jobs with ``waiting`` rows each: all that the first can use, then the next.

    The shares sum to min(limit, total waiting).
    """
    shares = []
    for rows in waiting:
        shares.append(min(rows, limit))
        limit -= shares[-1]
    return shares
