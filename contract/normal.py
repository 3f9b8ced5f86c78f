"""The standard normal distribution in float64: its cumulative probability and the inverse of that."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

# AS241 (Wichura 1988, Applied Statistics 37:477-484), routine PPND16: coefficients of numerator and
# denominator, from the highest power to the lowest.
_CENTRE = np.array(
    [
        [2.5090809287301226727e3, 5.2264952788528545610e3],
        [3.3430575583588128105e4, 2.8729085735721942674e4],
        [6.7265770927008700853e4, 3.9307895800092710610e4],
        [4.5921953931549871457e4, 2.1213794301586595867e4],
        [1.3731693765509461125e4, 5.3941960214247511077e3],
        [1.9715909503065514427e3, 6.8718700749205790830e2],
        [1.3314166789178437745e2, 4.2313330701600911252e1],
        [3.3871328727963666080e0, 1.0],
    ]
)
_SHOULDER = np.array(
    [
        [7.74545014278341407640e-4, 1.05075007164441684324e-9],
        [2.27238449892691845833e-2, 5.47593808499534494600e-4],
        [2.41780725177450611770e-1, 1.51986665636164571966e-2],
        [1.27045825245236838258e0, 1.48103976427480074590e-1],
        [3.64784832476320460504e0, 6.89767334985100004550e-1],
        [5.76949722146069140550e0, 1.67638483018380384940e0],
        [4.63033784615654529590e0, 2.05319162663775882187e0],
        [1.42343711074968357734e0, 1.0],
    ]
)
_TAIL = np.array(
    [
        [2.01033439929228813265e-7, 2.04426310338993978564e-15],
        [2.71155556874348757815e-5, 1.42151175831644588870e-7],
        [1.24266094738807843860e-3, 1.84631831751005468180e-5],
        [2.65321895265761230930e-2, 7.86869131145613259100e-4],
        [2.96560571828504891230e-1, 1.48753612908506148525e-2],
        [1.78482653991729133580e0, 1.36929880922735805310e-1],
        [5.46378491116411436990e0, 5.99832206555887937690e-1],
        [6.65790464350110377720e0, 1.0],
    ]
)


# By power, numerator or denominator, and region: the centre, the shoulders and the tails.
_COEFFICIENTS_823 = np.stack([_CENTRE, _SHOULDER, _TAIL], axis=-1)
_ORIGINS = np.array([0.0, 1.6, 5.0])
# Of so many at a time, what is computed on the way stays in the processor's cache.
_BLOCK = 4096


def normal_quantile(probability: Float64) -> Float64:
    """Return Φ⁻¹ of each probability (float64, strictly between 0 and 1), to about 1e-16 relative.

    Source: AS241, algorithm PPND16.
    """
    p = np.asarray(probability, dtype=np.float64)
    if p.size <= _BLOCK:
        return _quantile(p)
    flat = p.ravel()
    blocks = [_quantile(flat[start : start + _BLOCK]) for start in range(0, flat.size, _BLOCK)]
    return np.concatenate(blocks).reshape(p.shape)


def _quantile(p: Float64) -> Float64:
    """Return the quantiles; all in one pass, as each call of numpy costs more than a hundred elements do."""
    q = p - 0.5
    is_central = np.abs(q) <= 0.425
    r = np.sqrt(-np.log(np.where(q < 0, p, 1.0 - p)))
    region = (~is_central).astype(np.intp) + (r > 5.0)
    x = np.where(is_central, 0.180625 - q * q, r - _ORIGINS.take(region))
    highest, *others = _COEFFICIENTS_823.take(region, axis=2)
    polynomials = highest
    for coefficients in others:
        polynomials *= x
        polynomials += coefficients
    ratio = polynomials[0] / polynomials[1]
    return np.asarray(np.where(is_central, q * ratio, np.copysign(ratio, q)))


def _each(function: Callable[[float], float], x: Float64) -> Float64:
    """Apply a scalar function of the C library: numpy has no error function of its own."""
    values = np.asarray(x, dtype=np.float64)
    flat = np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size)
    return flat.reshape(values.shape)


def normal_cdf(x: Float64) -> Float64:
    """Return Φ(x), the probability that a standard normal is at most x (float64, any shape)."""
    return 0.5 * _each(math.erfc, np.asarray(x, dtype=np.float64) * -math.sqrt(0.5))


def centred_normal_cdf(x: Float64) -> Float64:
    """Return 2Φ(x) - 1, in (-1, 1) and exactly odd in x (float64, any shape)."""
    return _each(math.erf, np.asarray(x, dtype=np.float64) * math.sqrt(0.5))
