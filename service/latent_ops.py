"""Latent arithmetic and interpolation: pure functions of canonical latents.

Everything is computed in float64 and cast to float32 once, at the end. Nothing here knows requests,
models or priors; what cannot be computed raises :class:`UndefinedLatent` with a sentence that says why.

Shapes: D latent dimensions, R references of a term, K keyframes, N points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.latents import UndefinedLatent

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

Normalization = Literal["match", "sphere", "none"]
Method = Literal["slerp", "match", "linear", "cubic"]

MAX_LATENT_VALUE = 1e4
"""The largest size of a latent's values: what comes out can be sent in again."""

_LEAST_SQUARES = 1e-6
_LEAST_NORM = 1e-6
_LEAST_ANGLE = 1e-4


class CancelledOut(UndefinedLatent):
    """The terms of a sum leave nothing to normalise: they cancel one another, or their weights are tiny."""


class UndefinedSegment(UndefinedLatent):
    """No path leads from one keyframe to another by this method; ``keyframe`` is the one at fault."""

    def __init__(self, keyframe: int, reason: str) -> None:
        super().__init__(reason)
        self.keyframe = keyframe


@dataclass(frozen=True, eq=False)
class WeightedMean:
    """One term of a sum: ``weight`` times the mean of R latents, float32 ``[R, D]``."""

    weight: float
    latents_RD: Float32


def combine(terms: Sequence[WeightedMean], normalize: Normalization) -> Float32:
    """Return the normalised sum of the terms, y = Σ_k w_k · mean(term_k): float32 ``[D]``.

    ``match`` divides by √(Σ c_u²), c_u being the total coefficient of each distinct latent u, so that the
    sum of standard normals is standard normal again (Agustsson et al., "Optimal transport maps for
    distribution preserving operations on latent spaces of generative models", arXiv:1711.01970);
    ``sphere`` puts y on the sphere of radius √D; ``none`` leaves y as it is (the arithmetic of Radford,
    Metz and Chintala, arXiv:1511.06434). Latents are distinct by their float32 values. The order of
    the terms changes no bit.

    Raises ``CancelledOut`` if Σ c_u² < 1e-6 (match) or ‖y‖ < 1e-6 (sphere), and ``UndefinedLatent`` for a
    result with values above 1e4 in size.
    """
    coefficients_U, latents_UD = _distinct(terms)
    y = np.zeros(latents_UD.shape[1])
    for coefficient, latent in zip(coefficients_U, latents_UD, strict=True):
        y += coefficient * latent.astype(np.float64)
    if normalize == "match":
        squares = math.fsum(coefficient * coefficient for coefficient in coefficients_U)
        if squares < _LEAST_SQUARES:
            raise CancelledOut(
                f"the weights cancel one another or are too small: the squares of the latents' coefficients "
                f"add up to {squares:.3g}, below {_LEAST_SQUARES:g}"
            )
        y /= math.sqrt(squares)
    elif normalize == "sphere":
        norm = float(np.linalg.norm(y))
        if norm < _LEAST_NORM:
            raise CancelledOut(
                f"the weights cancel one another or are too small: the sum has the norm {norm:.3g}, below "
                f"{_LEAST_NORM:g}"
            )
        y *= math.sqrt(len(y)) / norm
    return _latents(y)


def _distinct(terms: Sequence[WeightedMean]) -> tuple[list[float], Float32]:
    """Return the total coefficient of each distinct latent, and the latents ``[U, D]``.

    They come in an order that only depends on their values, and coefficients are summed exactly, so that
    floating point cannot tell one order of the terms from another.
    """
    shares: dict[bytes, list[float]] = {}
    for term in terms:
        share = term.weight / len(term.latents_RD)
        for latent in term.latents_RD:
            # -0 is 0: adding 0 makes them one.
            shares.setdefault((latent + np.float32(0)).tobytes(), []).append(share)
    ordered = sorted(shares)
    latents_UD = np.frombuffer(b"".join(ordered), np.float32).reshape(len(ordered), -1)
    return [math.fsum(shares[key]) for key in ordered], latents_UD


def neighbours(latent_D: Float32, noise_ND: Float32, scale: float) -> Float32:
    """Return (g + σ ε_i) / √(1 + σ²) for each row ε_i of the noise: float32 ``[N, D]``.

    Of standard normals these are standard normal again, at a distance that grows with σ.
    """
    mixed = latent_D.astype(np.float64) + scale * noise_ND.astype(np.float64)
    return _latents(mixed / math.sqrt(1.0 + scale * scale))


@dataclass(frozen=True)
class Point:
    """A place on a path: the share ``t`` in [0, 1) of the way from one keyframe to another."""

    first: int
    second: int
    t: float

    @property
    def keyframe(self) -> int | None:
        """The keyframe that lies here, if one does."""
        return self.first if self.t == 0.0 else None


def path_points(keyframes: int, steps: int, *, loop: bool) -> list[Point]:
    """Return the points of a path: each keyframe once, and ``steps - 2`` points inside each segment.

    K keyframes give (K - 1)(steps - 1) + 1 points, and K(steps - 1) if the path leads back to the first.
    """
    segments = keyframes if loop else keyframes - 1
    points = [
        Point(segment, (segment + 1) % keyframes, step / (steps - 1))
        for segment in range(segments)
        for step in range(steps - 1)
    ]
    return points if loop else [*points, Point(keyframes - 1, keyframes - 1, 0.0)]


def interpolate(keyframes_KD: Float32, points: Sequence[Point], method: Method, *, loop: bool) -> Float32:
    """Return the latent of each point of a path: float32 ``[N, D]``. Keyframes are met exactly.

    With g₀ and g₁ the ends of a segment and t the share of the way:

    - ``slerp``: (sin((1-t)Ω) g₀ + sin(tΩ) g₁) / sin Ω, Ω the angle between them (Shoemake, SIGGRAPH 1985)
    - ``match``: ((1-t) g₀ + t g₁) / √((1-t)² + t²), which keeps the prior's law; equal ends stay as they are
    - ``linear``: (1-t) g₀ + t g₁, whose norm shrinks to about 0.71 half-way between two normals
    - ``cubic``: the natural (with ``loop``, periodic) cubic spline with uniform knots

    Raises ``UndefinedSegment`` where slerp has no one way: opposite ends, an end of zeros, D = 1.
    """
    ends_KD = keyframes_KD.astype(np.float64)
    t_N1 = np.array([point.t for point in points])[:, None]
    first_N = np.array([point.first for point in points])
    second_N = np.array([point.second for point in points])
    start_ND, stop_ND = ends_KD[first_N], ends_KD[second_N]
    linear_ND = (1.0 - t_N1) * start_ND + t_N1 * stop_ND
    if method == "linear":
        return _latents(linear_ND)
    if method == "match":
        equal_N1 = (start_ND == stop_ND).all(axis=1, keepdims=True)
        spread_N1 = np.sqrt((1.0 - t_N1) ** 2 + t_N1**2)
        return _latents(np.where(equal_N1, start_ND, linear_ND / spread_N1))
    if method == "cubic":
        curvature_KD = _curvatures(ends_KD, loop=loop)
        bend_ND = ((1.0 - t_N1) ** 3 - (1.0 - t_N1)) * curvature_KD[first_N]
        bend_ND += (t_N1**3 - t_N1) * curvature_KD[second_N]
        return _latents(linear_ND + bend_ND / 6.0)
    angle_N1 = _angles(ends_KD, points)[:, None]
    near_N1 = angle_N1 < _LEAST_ANGLE
    sine_N1 = np.where(near_N1, 1.0, np.sin(angle_N1))
    turned_ND = np.sin((1.0 - t_N1) * angle_N1) * start_ND + np.sin(t_N1 * angle_N1) * stop_ND
    return _latents(np.where(near_N1, linear_ND, turned_ND / sine_N1))


def _angles(ends_KD: Float64, points: Sequence[Point]) -> Float64:
    """Return the angle of each point's segment: ``[N]``; raises ``UndefinedSegment``."""
    by_segment: dict[tuple[int, int], float] = {}
    for point in points:
        pair = (point.first, point.second)
        if pair not in by_segment:
            by_segment[pair] = 0.0 if point.first == point.second else _angle(ends_KD, *pair)
    return np.array([by_segment[point.first, point.second] for point in points])


def _angle(ends_KD: Float64, first: int, second: int) -> float:
    """Return the angle between two keyframes, well-conditioned also near 0 and π (Kahan)."""
    if ends_KD.shape[1] == 1:
        raise UndefinedSegment(second, "slerp turns one latent into another, and one dimension has no turn")
    norms = np.linalg.norm(ends_KD[[first, second]], axis=1)
    for keyframe, norm in zip((first, second), norms, strict=True):
        if norm == 0.0:
            raise UndefinedSegment(keyframe, "slerp needs directions, and a latent of zeros has none")
    start, stop = ends_KD[first] / norms[0], ends_KD[second] / norms[1]
    angle = 2.0 * math.atan2(float(np.linalg.norm(start - stop)), float(np.linalg.norm(start + stop)))
    if math.pi - angle < _LEAST_ANGLE:
        raise UndefinedSegment(
            second, f"it is opposite to that of keyframe {first}, and slerp has no one way between the two"
        )
    return angle


def _curvatures(ends_KD: Float64, *, loop: bool) -> Float64:
    """Return the second derivatives of the cubic spline at its knots: ``[K, D]``.

    They solve M_{i-1} + 4 M_i + M_{i+1} = 6 (g_{i-1} - 2 g_i + g_{i+1}); a natural spline has none at its
    ends, a periodic one has no ends (de Boor, "A practical guide to splines", chapter IV).
    """
    count = len(ends_KD)
    system_KK = np.zeros((count, count))
    right_KD = np.zeros_like(ends_KD)
    for knot in range(count):
        before, after = (knot - 1) % count, (knot + 1) % count
        if not loop and knot in (0, count - 1):
            system_KK[knot, knot] = 1.0
            continue
        system_KK[knot, knot] += 4.0
        system_KK[knot, before] += 1.0
        system_KK[knot, after] += 1.0
        right_KD[knot] = 6.0 * (ends_KD[before] - 2.0 * ends_KD[knot] + ends_KD[after])
    return np.linalg.solve(system_KK, right_KD).astype(np.float64, copy=False)


def _latents(values: Float64) -> Float32:
    if not np.all(np.abs(values) <= MAX_LATENT_VALUE):
        raise UndefinedLatent(f"the result has values above {MAX_LATENT_VALUE:g} in size")
    return values.astype(np.float32)
