"""One model's runs: which session runs them, how they are padded, and what comes out.

Shapes: N rows, D latent dimensions, K classes; values are uint8 ``[N, H, W, C]`` of images, float32
``[N, size]`` of vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.pixels import image_batch_to_pixels
from service.engine.halt import Halt
from service.engine.padding import Padding

Float32 = NDArray[np.float32]
Feed = dict[str, Float32]


@dataclass(frozen=True)
class Graph:
    """What a graph takes and what it gives, by name."""

    latent: str
    class_weights: str | None
    output: str
    """float32: ``[N, C, H, W]`` of images, in [-1, 1], or ``[N, size]`` of vectors."""
    dim: int
    classes: int | None
    is_image: bool
    pixels: str | None = None
    """uint8 ``[N, H, W, C]``, if the graph applies the pixel rule itself."""
    sums: str | None = None
    """float32 ``[N]``, beside ``pixels``: no number for a row that holds one that is none."""


@dataclass(frozen=True)
class Output:
    """What a run drew: the values of each row, and whether they are numbers."""

    values: NDArray[np.uint8] | Float32
    finite_N: NDArray[np.bool_]


@dataclass(frozen=True)
class Proof:
    """How a model's sessions may be run. It holds for one machine and one version of ONNX Runtime."""

    padding: Padding
    """The rule under which a row comes out the same in every batch, if there is one."""
    bit_identical: bool
    fused: bool
    """Whether the graph's own pixels follow the pixel rule."""
    wide: bool
    """Whether two threads give the same bits as one."""
    is_quick: bool
    """Whether a single row that is alone takes four milliseconds at most."""
    quantum: int
    """The most rows of a run of two milliseconds, and at least one."""
    best_batch: int
    """The rows of the longest run that is worth its length."""


class Session:
    """One model's sessions, run as their proof allows. ``draw`` may be called from any number of threads.

    ``narrow`` runs on the thread that calls it. ``wide``, if there is one, uses more: it is for a single row
    that is alone.
    """

    def __init__(
        self,
        narrow: Any,  # noqa: ANN401 - onnxruntime is untyped
        graph: Graph,
        proof: Proof,
        *,
        max_batch: int,
        wide: Any = None,  # noqa: ANN401 - the same
    ) -> None:
        self.proof = proof
        self.is_quick, self.quantum = proof.is_quick, proof.quantum
        self.max_batch = max_batch
        self.provider = str(narrow.get_providers()[0])
        self._graph = graph
        self._narrow = narrow
        self._wide = wide if proof.wide else None

    def draw(
        self,
        z_ND: Float32,
        weights_NK: Float32 | None,
        *,
        alone: bool = False,
        halt: Halt | None = None,
    ) -> Output:
        """Run N rows, 1 to ``max_batch``; a single one that is ``alone`` on several threads.

        Raises one of ONNX Runtime's own exceptions when the run fails, or when ``halt`` ends it.
        """
        rows, graph = len(z_ND), self._graph
        names = [graph.pixels, graph.sums] if self.proof.fused else [graph.output]
        runtime = self._wide if alone and rows == 1 and self._wide is not None else self._narrow
        drawn = runtime.run(names, self._feed(z_ND, weights_NK), None if halt is None else halt.options)
        if self.proof.fused:
            return Output(drawn[0][:rows], np.isfinite(drawn[1][:rows]))
        return _checked(drawn[0][:rows], is_image=graph.is_image)

    def _feed(self, z_ND: Float32, weights_NK: Float32 | None) -> Feed:
        return feed(self._graph, self.proof.padding.size(len(z_ND)), z_ND, weights_NK)


def _checked(drawn: Float32, *, is_image: bool) -> Output:
    """Return a float output as values, and which of its rows are finite."""
    finite_N = np.atleast_1d(np.isfinite(drawn).reshape(len(drawn), -1).all(axis=1))
    if not is_image:
        return Output(drawn, finite_N)
    if not finite_N.all():  # what is no number has no pixel; nobody gets such a row
        drawn = np.where(np.isfinite(drawn), drawn, np.float32(0))
    return Output(image_batch_to_pixels(drawn), finite_N)


def feed(graph: Graph, rows: int, z_ND: Float32, weights_NK: Float32 | None) -> Feed:
    """Return what a graph is fed: the rows, filled up to so many."""
    fed = {graph.latent: _padded(z_ND, rows)}
    if graph.class_weights is not None:
        assert weights_NK is not None, "a conditional model is fed class weights"
        fed[graph.class_weights] = _padded(weights_NK, rows)
    return fed


def _padded(array: Float32, rows: int) -> Float32:
    if len(array) == rows:
        return np.ascontiguousarray(array)
    filled = np.zeros((rows, *array.shape[1:]), np.float32)
    filled[: len(array)] = array
    return filled
