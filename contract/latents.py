"""From a seed and an index to what the graph is fed: canonical latents, priors and truncation.

Every operation works on a canonical latent g ~ N(0, I_D); the model's prior and the truncation are
applied last, by :func:`graph_input`. All of it is a pure function of its arguments: the same on
every machine to 1e-6, and to the last bit on one platform.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.normal import centred_normal_cdf, normal_cdf, normal_quantile
from contract.philox import Integers, Stream, random_words

Float32 = NDArray[np.float32]

RNG: Final = "philox4x32-10/icdf-v1"
"""The name of the rule by which (seed, index) becomes a latent; it changes if the rule ever does."""

MAX_SEED = 2**53 - 1
"""The largest seed and the largest index: the integers that JSON and JavaScript carry exactly."""

MAX_THRESHOLD = 5.0
MAX_SCALE = 2.0

_WORD_RANGE = 2.0**32


class UndefinedLatent(ValueError):
    """A latent has no image under this prior and truncation; the message says why, ``row`` which one."""

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


class Prior(StrEnum):
    """The distribution that a generator was trained to receive."""

    NORMAL = "normal"
    UNIFORM = "uniform"
    SPHERE = "sphere"


class TruncationMode(StrEnum):
    """How a truncation value is read: equal numbers mean different spreads, so it is always named."""

    THRESHOLD = "threshold"
    SCALE = "scale"


TRUNCATION_MODES: dict[Prior, tuple[TruncationMode, ...]] = {
    Prior.NORMAL: (TruncationMode.THRESHOLD, TruncationMode.SCALE),
    Prior.UNIFORM: (TruncationMode.SCALE,),
    Prior.SPHERE: (),
}
"""The modes that mean something for each prior; the others are refused."""


class Truncation(BaseModel):
    """Less spread for more typical images: ``threshold`` t in (0, 5], or ``scale`` psi in [0, 2]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: TruncationMode
    value: float = Field(strict=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _within_range(self) -> Truncation:
        if self.mode is TruncationMode.THRESHOLD and not 0 < self.value <= MAX_THRESHOLD:
            raise ValueError(f"a threshold must be above 0 and at most {MAX_THRESHOLD:g}")
        if self.mode is TruncationMode.SCALE and not 0 <= self.value <= MAX_SCALE:
            raise ValueError(f"a scale must be from 0 to {MAX_SCALE:g}")
        return self


def uniform_open(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Map each word w to u = (w + 0.5) / 2^32, strictly inside (0, 1)."""
    return (words.astype(np.float64) + 0.5) / _WORD_RANGE


def standard_normal(
    seeds_N: Integers,
    indices_N: Integers,
    dim: int,
    stream: Stream = Stream.LATENT,
) -> Float32:
    """Return the canonical latent of each (seed, index): float32 ``[N, dim]``.

    Seeds and indices are 0 to 2^53 - 1, one each a row. A row depends on its own seed and index only.
    """
    words = random_words(seeds_N, indices_N, stream, dim)
    return normal_quantile(uniform_open(words)).astype(np.float32)


def random_class(
    seeds_N: Integers,
    indices_N: Integers,
    classes: int,
) -> NDArray[np.int64]:
    """Return the class that each (seed, index) draws: int64 ``[N]`` in 0 to classes - 1.

    The rule is (w0 * K) >> 32 with w0 the first word of block 0 of the class-choice stream.
    """
    words = random_words(seeds_N, indices_N, Stream.CLASS_CHOICE, 1)[:, 0]
    return ((words.astype(np.uint64) * np.uint64(classes)) >> np.uint64(32)).astype(np.int64)


def truncate_threshold(latent_ND: Float32, thresholds: Sequence[float]) -> Float32:
    """Map each element g to Φ⁻¹(Φ(-t) + Φ(g)(2Φ(t) - 1)): a normal truncated to (-t, t).

    ``thresholds`` holds one t for all rows or one for each. Continuous in t, so a slider morphs one image.
    The map is odd, and is computed on the lower tail, where Φ keeps its precision.
    """
    g = latent_ND.astype(np.float64)
    low = np.array([0.5 * math.erfc(threshold * math.sqrt(0.5)) for threshold in thresholds])[:, None]
    lower_tail = low + normal_cdf(-np.abs(g)) * (1.0 - 2.0 * low)
    return np.copysign(normal_quantile(lower_tail), g).astype(np.float32)


def _on_sphere(latent_ND: Float32) -> Float32:
    """Map each row to √D · g / ‖g‖."""
    g = latent_ND.astype(np.float64)
    norm_N1 = np.linalg.norm(g, axis=1, keepdims=True)
    if not np.all(norm_N1 > 0):
        row = int(np.argmin(norm_N1 > 0))
        raise UndefinedLatent("a latent of zeros has no direction, which a sphere prior needs", row)
    return np.asarray(g * (np.sqrt(g.shape[1]) / norm_N1), dtype=np.float32)


def graph_input(
    latent_ND: Float32, prior: Prior, truncation: Truncation | Sequence[Truncation] | None = None
) -> Float32:
    """Map canonical latents to the graph's input z: float32 ``[N, D]``, row by row.

    ``truncation`` is one for all rows, or one for each, all of one mode. Raises
    ``UndefinedLatent`` for a truncation that the prior does not allow (:data:`TRUNCATION_MODES`) and for a
    zero latent under a sphere prior.
    """
    truncations = [truncation] if isinstance(truncation, Truncation) else truncation or []
    modes = {one.mode for one in truncations}
    for mode in modes.difference(TRUNCATION_MODES[prior]):
        raise UndefinedLatent(f"truncation mode {mode} means nothing for a {prior} prior")
    if len(modes) > 1:
        raise UndefinedLatent("rows of one call are truncated in one mode")
    if prior is Prior.SPHERE:
        return _on_sphere(latent_ND)
    z = latent_ND
    if prior is Prior.UNIFORM:
        z = centred_normal_cdf(latent_ND.astype(np.float64)).astype(np.float32)
    if not truncations:
        return z
    values = [one.value for one in truncations]
    if TruncationMode.SCALE in modes:
        return z * np.array(values, np.float32)[:, None]
    return truncate_threshold(z, values)
