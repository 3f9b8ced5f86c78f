"""Figures as inline SVG: the losses of a run, and the distribution of numbers.

Colours are named by classes of the page's style sheet, so that they follow its light or dark dress.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Series = tuple[str, NDArray[np.float64], NDArray[np.float64]]
"""A name, where, and how much."""

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 12, 30
_MOST_POINTS = 300
_BINS = 60
_PANELS = (
    ("Losses", (("d_loss", "discriminator"), ("g_loss", "generator"))),
    ("Mean score by the discriminator", (("d_real", "real images"), ("d_fake", "draws"))),
)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return a run's metrics, a report a line; a torn last line of a killed run is passed over."""
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in lines if isinstance(line, dict) and "images_seen" in line]


def loss_curves(metrics: list[dict[str, float]]) -> list[tuple[str, str]]:
    """Return the panels that the metrics allow: each a title and an SVG."""
    panels = []
    for title, wanted in _PANELS:
        series = [_series(metrics, key, name) for key, name in wanted]
        there = [one for one in series if len(one[1]) > 1]
        if there:
            panels.append((title, line_chart(there, "images seen")))
    return panels


def _series(metrics: list[dict[str, float]], key: str, name: str) -> Series:
    pairs = [(line["images_seen"], line[key]) for line in metrics if math.isfinite(line.get(key, math.nan))]
    where, how_much = np.array(pairs, np.float64).reshape(-1, 2).T
    size = max(1, -(-len(where) // _MOST_POINTS))
    groups = [slice(start, start + size) for start in range(0, len(where), size)]
    means = [(where[group].mean(), how_much[group].mean()) for group in groups]
    thinned = np.array(means, np.float64).reshape(-1, 2).T
    return name, thinned[0], thinned[1]


def histograms(numbers: dict[str, NDArray[np.float64]]) -> str:
    """Return how often the numbers of each name fall in each of sixty bins, as one SVG."""
    everything = np.concatenate(list(numbers.values()))
    edges = np.linspace(everything.min(), everything.max(), _BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    series = [
        (name, middles, np.histogram(values, edges)[0] / len(values) / (edges[1] - edges[0] or 1.0))
        for name, values in numbers.items()
    ]
    return line_chart(series, "value")


def line_chart(series: Sequence[Series], axis: str) -> str:
    """Return lines over a common axis as an SVG with ticks and a legend."""
    xs, ys = np.concatenate([one[1] for one in series]), np.concatenate([one[2] for one in series])
    left, right, low, high = xs.min(), xs.max(), ys.min(), ys.max()
    span_x, span_y = (right - left) or 1.0, (high - low) or 1.0

    def at_x(x: float) -> float:
        return _LEFT + (x - left) / span_x * (_WIDTH - _LEFT - _RIGHT)

    def at_y(y: float) -> float:
        return _HEIGHT - _BOTTOM - (y - low) / span_y * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for y in _round_numbers(low, high):
        parts.append(f'<path class="rule" d="M{_LEFT} {at_y(y):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{_short(y)}</text>')
    parts += [
        f'<text x="{at_x(x):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{_short(x)}</text>'
        for x in _round_numbers(left, right)
    ]
    for number, (_, where, how_much) in enumerate(series):
        points = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in zip(where, how_much, strict=True))
        parts.append(f'<polyline class="line{number}" points="{points}"/>')
    names = " ".join(f'<span class="key{n}">{escape(one[0])}</span>' for n, one in enumerate(series))
    label = escape(", ".join(one[0] for one in series) + " by " + axis)
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return f'{svg}<p class="keys">{names} <span class="axis">across: {escape(axis)}</span></p>'


def _round_numbers(low: float, high: float) -> list[float]:
    """Return three to six multiples of 1, 2 or 5 times a power of ten between two values."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span))
    step = next(step for step in (0.2 * power, 0.5 * power, power, 2 * power) if span / step <= 6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _short(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:.3g}"
