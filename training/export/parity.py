"""The parity gate: the exported graph must draw what the trained network draws.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from contract.latents import Prior, graph_input, standard_normal
from contract.manifest import BatchInvariance, Parity
from training.errors import ExportError
from training.networks import GeneratorSpec
from training.sampling import Float32, Runner, one_hot

TOLERANCE = 1e-4
FLOAT16_TOLERANCE = 0.03
"""Four levels of 255: float16 has ten bits, and the errors of some layers add up."""
PARITY_BATCHES = (1, 2, 3, 17)
INVARIANCE_BATCHES = (1, 2, 3, 4, 8, 17, 32, 64)
_SEED = 20_240_229


@dataclass(frozen=True)
class _Case:
    """One comparison: what it is called and the class weights of each of its rows."""

    name: str
    weights: Float32 | None


def _mixture(rows: int, classes: int) -> Float32:
    """Class weights that differ from row to row, none of them of one class alone."""
    ramp = np.arange(1, classes + 1, dtype=np.float32)
    weights = np.stack([np.roll(ramp, row) for row in range(rows)])
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _cases(rows: int, classes: int | None) -> Iterator[_Case]:
    if classes is None:
        yield _Case("no class", None)
        return
    for label in range(classes):
        yield _Case(f"class {label}", one_hot(np.full(rows, label, np.int64), classes))
    yield _Case("a mixture of classes", _mixture(rows, classes))


def check_parity(
    trained: Runner, exported: Runner, spec: GeneratorSpec, prior: Prior, tolerance: float = TOLERANCE
) -> Parity:
    """Compare both graphs for batches 1, 2, 3 and 17, every class and a mixture.

    Returns the largest absolute difference seen. Raises ``ExportError`` saying where it is, if it is
    above the tolerance, or not a number, or if the shapes differ.
    """
    worst, cases, index = 0.0, 0, 0
    for rows in PARITY_BATCHES:
        for case in _cases(rows, spec.classes):
            indices = np.arange(index, index + rows)
            g_ND = standard_normal(np.full(rows, _SEED), indices, spec.latent_dim)
            latent_ND = graph_input(g_ND, prior)
            expected = trained(latent_ND, case.weights)
            got = exported(latent_ND, case.weights)
            where = f"batch of {rows}, {case.name}, seed {_SEED}, index {index}"
            worst = max(worst, _difference(expected, got, where, tolerance))
            cases += 1
            index += rows
    return Parity(max_abs_difference=worst, tolerance=tolerance, batches=PARITY_BATCHES, cases=cases)


def _difference(expected: Float32, got: Float32, where: str, tolerance: float) -> float:
    if expected.shape != got.shape:
        raise ExportError(f"parity: the graph put out {got.shape}, not {expected.shape} ({where})")
    difference = float(np.max(np.abs(expected - got)))
    if not difference <= tolerance:  # also true of NaN
        raise ExportError(
            f"parity: the graph differs from the network by {difference:.3g}, above {tolerance:g} ({where})"
        )
    return difference


def check_classes_matter(exported: Runner, spec: GeneratorSpec, prior: Prior) -> None:
    """Raise ``ExportError`` if two classes draw the very same from one latent: the label is not used."""
    if spec.classes is None or spec.classes < 2:
        return
    g_ND = np.repeat(standard_normal([_SEED], [0], spec.latent_dim), spec.classes, axis=0)
    drawn = exported(graph_input(g_ND, prior), one_hot(np.arange(spec.classes), spec.classes))
    different = {row.tobytes() for row in drawn}
    if len(different) < spec.classes:
        raise ExportError(
            f"the classes do not matter to this generator: one latent gives {len(different)} different draws "
            f"for {spec.classes} classes"
        )


def measure_batch_invariance(exported: Runner, spec: GeneratorSpec, prior: Prior) -> BatchInvariance:
    """Tell whether rows come out the same, to the bit, in every size of batch on the CPU provider."""
    rows = max(INVARIANCE_BATCHES)
    g_ND = standard_normal(np.full(rows, _SEED), np.arange(rows), spec.latent_dim)
    latent_ND = graph_input(g_ND, prior)
    weights = None if spec.classes is None else _mixture(rows, spec.classes)
    whole = exported(latent_ND, weights)
    identical = all(
        np.array_equal(exported(latent_ND[:size], None if weights is None else weights[:size]), whole[:size])
        for size in INVARIANCE_BATCHES
    )
    return BatchInvariance(
        provider="CPUExecutionProvider", bit_identical=identical, batches=INVARIANCE_BATCHES
    )
