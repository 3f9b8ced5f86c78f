"""Figures of many replies, and of a quantity over time."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.chaos.serving.client import Outcome, Reply

_PAIRS = 400


def seen(replies: Iterable[Reply]) -> dict[str, int]:
    """Return how often each status came, and each outcome that has none."""
    names = (str(one.status) if one.outcome is Outcome.ANSWERED else one.outcome.value for one in replies)
    return dict(sorted(Counter(names).items()))


def milliseconds(replies: Iterable[Reply], share: float) -> float | None:
    """Return that quantile of the latencies, 1.0 for the largest; None if there are none."""
    times = sorted(one.seconds for one in replies)
    if not times:
        return None
    return round(1000 * times[min(len(times) - 1, math.ceil(share * len(times)) - 1)], 1)


def trend(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope by Theil and Sen: the median over pairs of samples, which outliers do not move."""
    step = max(1, len(times) // _PAIRS)
    points = list(zip(times, values, strict=True))[::step]
    slopes = [
        (later - earlier) / (end - start)
        for place, (start, earlier) in enumerate(points)
        for end, later in points[place + 1 :]
        if end > start
    ]
    return statistics.median(slopes) if slopes else 0.0
