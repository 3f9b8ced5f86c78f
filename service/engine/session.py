"""One model's runs: which session runs them, how they are padded, and what comes out.

A row's output is to be the same bits whatever batch it runs in. Kernels do not promise that (a matrix
product of one row may take another path than one of two), so each session measures it when it is
loaded and picks the least padding under which it holds.

Shapes: N rows, D latent dimensions, K classes; values are uint8 ``[N, H, W, C]`` of images, float32
``[N, size]`` of vectors.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.latents import standard_normal
from contract.pixels import image_batch_to_pixels
from service.engine.devices import Device
from service.engine.halt import Halt
from service.engine.padding import paddings, probed_batches

logger = logging.getLogger("forger.engine")

Float32 = NDArray[np.float32]

# Batches to this size are probed from their first and their last places, larger ones from one of the two.
_THOROUGHLY_PROBED = 33
_WIDELY_PROBED = 8
_SHORT_S = 0.002
_QUICK_S = 0.004
_TRIES = 8


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


class Session:
    """One model's sessions. ``draw`` may be called from any number of threads.

    ``narrow`` runs on the thread that calls it. ``wide``, if there is one, uses more: it is for a single row
    that is alone, and must give the same bits.
    """

    def __init__(
        self,
        narrow: Any,  # noqa: ANN401 - onnxruntime is untyped
        graph: Graph,
        *,
        max_batch: int,
        device: Device,
        wide: Any = None,  # noqa: ANN401 - the same
        threads: int = 1,
    ) -> None:
        """Prove the sessions, on so many threads."""
        self._threads = threads
        self._narrow, self._wide = narrow, wide
        self._graph = graph
        self._fused = graph.pixels is not None
        self.max_batch = max_batch
        self.provider = str(narrow.get_providers()[0])
        self.bit_identical = False
        self.padding = paddings(max_batch, device)[-1]
        probe = self._probe()
        self._prove(device, *probe)
        self.is_quick = self._takes_at_most(_QUICK_S, 1, *probe, alone=True)
        """Whether a single row that is alone takes four milliseconds at most."""
        self.quantum = self._short_rows(*probe)
        """The most rows of a run of two milliseconds, and at least one."""

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
        names = [graph.pixels, graph.sums] if self._fused else [graph.output]
        runtime = self._wide if alone and rows == 1 and self._wide is not None else self._narrow
        drawn = runtime.run(names, self._feed(z_ND, weights_NK), None if halt is None else halt.options)
        if self._fused:
            return Output(drawn[0][:rows], np.isfinite(drawn[1][:rows]))
        return _checked(drawn[0][:rows], is_image=graph.is_image)

    def _raw(self, runtime: Any, z_ND: Float32, weights_NK: Float32 | None) -> Float32:  # noqa: ANN401 - onnxruntime is untyped
        output: Float32 = runtime.run([self._graph.output], self._feed(z_ND, weights_NK))[0]
        return output[: len(z_ND)]

    def _feed(self, z_ND: Float32, weights_NK: Float32 | None) -> dict[str, Float32]:
        size = min(self.padding.size(len(z_ND)), self.max_batch)
        feed = {self._graph.latent: _padded(z_ND, size)}
        if self._graph.class_weights is not None:
            assert weights_NK is not None, "a conditional model is fed class weights"
            feed[self._graph.class_weights] = _padded(weights_NK, size)
        return feed

    def _prove(self, device: Device, z_ND: Float32, weights_NK: Float32 | None) -> None:
        """Choose the padding, and leave the shortcuts out that do not give the same bits."""
        self._choose_padding(device, z_ND, weights_NK)
        if self._fused and not self._pixels_follow_the_rule(z_ND, weights_NK):
            logger.warning("the graph's own pixels differ from the pixel rule: they are made outside of it")
            self._fused = False
        if self._wide is not None and not self._wide_is_the_same(z_ND, weights_NK):
            logger.info("two threads give other bits than one: single rows run on one")
            self._wide = None

    def _choose_padding(self, device: Device, z_ND: Float32, weights_NK: Float32 | None) -> None:
        for padding in paddings(self.max_batch, device):
            self.padding = padding
            if self._is_bit_identical(z_ND, weights_NK):
                self.bit_identical = True
                return
        logger.warning("rows differ in their last bits with the batch, whatever the padding")

    def _probe(self) -> tuple[Float32, Float32 | None]:
        """Return rows that exercise the model: random latents, and every kind of class weights."""
        rows, classes = range(self.max_batch), self._graph.classes
        z_ND = standard_normal([0] * self.max_batch, list(rows), self._graph.dim)
        if classes is None:
            return z_ND, None
        weights_NK = np.zeros((self.max_batch, classes), np.float32)
        for row in rows:
            weights_NK[row, row % classes] += np.float32(0.75)
            weights_NK[row, (row // 2) % classes] += np.float32(0.25)
        return z_ND, weights_NK

    def _is_bit_identical(self, z_ND: Float32, weights_NK: Float32 | None) -> bool:
        """Tell whether rows come out the same from the first and the last places of other batches."""
        reference = self._raw(self._narrow, z_ND, weights_NK)

        def holds(place: slice) -> bool:
            drawn = self._raw(self._narrow, z_ND[place], _rows(weights_NK, place))
            return drawn.tobytes() == reference[place].tobytes()

        first, *others = _probed_places(self.max_batch)
        if not holds(first):  # most kernels that differ at all differ for a single row
            return False
        with ThreadPoolExecutor(self._threads) as pool:
            return all(pool.map(holds, others))

    def _short_rows(self, z_ND: Float32, weights_NK: Float32 | None) -> int:
        """Return the most rows, a power of two, of a run that takes little time, or 1."""
        sizes = [2 << power for power in range(self.max_batch.bit_length() - 1)]

        def is_short(rows: int) -> bool:
            return self._takes_at_most(_SHORT_S, rows, z_ND, weights_NK)

        return max([1, *takewhile(is_short, sizes)])

    def _takes_at_most(
        self, most_s: float, rows: int, z_ND: Float32, weights_NK: Float32 | None, *, alone: bool = False
    ) -> bool:
        """Tell whether a run takes so long at most. Once is enough: the machine may be busy with others."""
        place = slice(0, rows)
        for _ in range(_TRIES):
            begun = time.perf_counter()
            self.draw(z_ND[place], _rows(weights_NK, place), alone=alone)
            if time.perf_counter() - begun <= most_s:
                return True
        return False

    def _pixels_follow_the_rule(self, z_ND: Float32, weights_NK: Float32 | None) -> bool:
        names = [self._graph.output, self._graph.pixels]
        raw, pixels = self._narrow.run(names, self._feed(z_ND, weights_NK))
        finite = np.isfinite(raw).reshape(len(raw), -1).all(axis=1)
        return np.array_equal(image_batch_to_pixels(raw[finite]), pixels[finite])

    def _wide_is_the_same(self, z_ND: Float32, weights_NK: Float32 | None) -> bool:
        for row in range(min(self.max_batch, _WIDELY_PROBED)):
            place = slice(row, row + 1)
            one = (z_ND[place], _rows(weights_NK, place))
            if self._raw(self._wide, *one).tobytes() != self._raw(self._narrow, *one).tobytes():
                return False
        return True


def _probed_places(max_batch: int) -> list[slice]:
    """Return batches, by where they lie in the largest one: a single row first."""
    places: list[slice] = []
    for turn, size in enumerate(probed_batches(max_batch)):
        both = (slice(0, size), slice(max_batch - size, max_batch))
        places.extend(both if size <= _THOROUGHLY_PROBED else both[turn % 2 :][:1])
    return places or [slice(0, max_batch)]


def _rows(array: Float32 | None, place: slice) -> Float32 | None:
    return None if array is None else array[place]


def _checked(drawn: Float32, *, is_image: bool) -> Output:
    """Return a float output as values, and which of its rows are finite."""
    finite_N = np.atleast_1d(np.isfinite(drawn).reshape(len(drawn), -1).all(axis=1))
    if not is_image:
        return Output(drawn, finite_N)
    if not finite_N.all():  # what is no number has no pixel; nobody gets such a row
        drawn = np.where(np.isfinite(drawn), drawn, np.float32(0))
    return Output(image_batch_to_pixels(drawn), finite_N)


def _padded(array: Float32, rows: int) -> Float32:
    if len(array) == rows:
        return np.ascontiguousarray(array)
    filled = np.zeros((rows, *array.shape[1:]), np.float32)
    filled[: len(array)] = array
    return filled
