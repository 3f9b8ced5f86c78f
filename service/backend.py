"""One model behind the batcher: parts of requests become one run, and its output their results.

Shapes: N rows, D latent dimensions, K classes; images are uint8 ``[N, H, W, C]``, vectors float32
``[N, size]``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from contract.latents import Truncation, graph_input, standard_normal
from contract.manifest import ImageOutput, LatentSpec, VectorOutput
from service.engine import Halt, Lanes, Output
from service.errors import ModelOutputFault
from service.jobs import Outcomes, Part
from service.journey import Journey, Run

Float32 = NDArray[np.float32]
Drawn = NDArray[np.uint8] | Float32
ArrayT = TypeVar("ArrayT", bound=NDArray[Any])

_Drawn = tuple[list[Drawn | Exception], float, float]

# The most float32 values of a run's output: 64 MiB.
_RUN_VALUES = 2**24
_VECTOR_BATCH = 2048
# The most values of a request's latents, class weights and output: 64 MiB as pixels.
_REQUEST_VALUES = 2**26


class Seeded:
    """The latents that a seed and some indices name, not drawn yet."""

    def __init__(self, seed: int, indices: Sequence[int], truncation: Truncation | None = None) -> None:
        self.seed = seed
        self.indices = indices
        self.truncation = truncation
        self._drawn: Float32 | None = None
        self._drawing = threading.Lock()

    def __len__(self) -> int:
        return len(self.indices)

    def drawn(self, latent: LatentSpec) -> Float32:
        """Return what the graph is fed, float32 ``[N, D]``: drawn once, for a request of several runs."""
        with self._drawing:  # two of its runs may begin at once
            if self._drawn is None:
                self._drawn = drawn_together([self], latent)
            return self._drawn


def drawn_together(named: Sequence[Seeded], latent: LatentSpec) -> Float32:
    """Return what the graph is fed for all, in order: a hundred latents take hardly longer than one."""
    seeds = [one.seed for one in named for _ in one.indices]
    indices = [index for one in named for index in one.indices]
    canonical_ND = standard_normal(seeds, indices, latent.dim)
    truncation = named[0].truncation
    if all(one.truncation == truncation for one in named):
        return graph_input(canonical_ND, latent.prior, truncation)
    pieces, first = [], 0
    for one in named:
        pieces.append(graph_input(canonical_ND[first : first + len(one)], latent.prior, one.truncation))
        first += len(one)
    return joined(pieces)


@dataclass(frozen=True)
class Rows:
    """What one request feeds the graph: z, float32 ``[N, D]`` or yet to be drawn, and class weights.

    ``weights_NK`` is float32 ``[N, K]``.
    """

    z: Float32 | Seeded
    weights_NK: Float32 | None
    journey: Journey | None = None


class Draws(Protocol):
    """What runs rows: ``service.engine.Session``, or a fake."""

    @property
    def quantum(self) -> int:
        """The most rows of a run that keeps nobody waiting for long."""

    @property
    def is_quick(self) -> bool:
        """Whether a single row keeps nobody waiting for long."""

    def draw(
        self,
        z_ND: Float32,
        weights_NK: Float32 | None,
        *,
        alone: bool = False,
        halt: Halt | None = None,
    ) -> Output:
        """Return the values of each row; a single one that is ``alone`` may use all threads.

        Raises whatever the runtime does when ``halt`` ends it.
        """


def rows_per_run(output: ImageOutput | VectorOutput, max_images: int) -> int:
    """Return the most rows of one run: vectors are light, and very large outputs run in smaller batches."""
    wanted = max_images if isinstance(output, ImageOutput) else _VECTOR_BATCH
    return max(1, min(wanted, _RUN_VALUES // int(np.prod(output.shape))))


def rows_per_request(output: ImageOutput | VectorOutput, dim: int, classes: int, wanted: int) -> int:
    """Return the most rows of one request: fewer than wanted if they would fill the memory."""
    return max(1, min(wanted, _REQUEST_VALUES // max(dim, classes, int(np.prod(output.shape)))))


def most_latents(dim: int) -> int:
    """Return how many latents a request may spell or name beside those that it draws."""
    return max(1, _REQUEST_VALUES // dim)


class ModelBackend:
    """Runs one model's rows on the engine's threads; the batcher's ``Backend``."""

    def __init__(
        self,
        session: Draws,
        latent: LatentSpec,
        *,
        max_batch: int,
        queue_limit: int,
        lanes: Lanes,
        observe_inference: Callable[[float], None],
    ) -> None:
        self._session = session
        self._latent = latent
        self.max_batch = max_batch
        self.quantum = session.quantum
        self.queue_limit = queue_limit
        self._lanes = lanes
        self._observe_inference = observe_inference

    def run(
        self,
        parts: Sequence[Part[Rows]],
        done: Callable[[Outcomes[Drawn]], None],
        *,
        alone: bool = False,
        at_once: bool = False,
    ) -> Callable[[], None]:
        """Draw the rows of all parts in one run; a part whose output is not finite gets its own fault.

        On the engine's threads; but a row that is to be ``at_once`` is drawn by the caller, if that is quick:
        to wake a thread, and to be woken by it, takes a good part of the row's own time on an idle processor,
        and now and then milliseconds on one that is busy with somebody's long runs.
        """
        followed = [part.payload.journey for part in parts if part.payload.journey is not None]
        begun = time.perf_counter() if followed else 0.0

        def ended(drawn: _Drawn | None, error: Exception | None) -> None:
            if followed:
                rows = sum(part.rows for part in parts)
                followed[0].run_ended(_run(begun, rows, drawn, error), followed)
            if drawn is None:
                assert error is not None
                done(error)
                return
            outcomes, _, seconds = drawn
            self._observe_inference(seconds)
            done(outcomes)

        halt = Halt()
        if not (at_once and self._session.is_quick):
            self._lanes.run(ended, self._draw, parts, alone, halt)
            return halt.end
        try:
            drawn = self._draw(parts, alone, halt)
        except Exception as error:  # noqa: BLE001 - the batcher's to deal with, as if from a lane
            ended(None, error)
        else:
            ended(drawn, None)
        return halt.end

    def _draw(
        self,
        parts: Sequence[Part[Rows]],
        alone: bool,  # noqa: FBT001 - handed on by the lanes, by position
        halt: Halt,
    ) -> _Drawn:
        """Return each part's outcome, when the model began, and the seconds that it took for all of them."""
        z_ND = _graph_inputs(parts, self._latent)
        weights_NK: Any = [
            part.payload.weights_NK[part.start : part.stop]
            for part in parts
            if part.payload.weights_NK is not None
        ]
        begun = time.perf_counter()
        output = self._session.draw(z_ND, joined(weights_NK) if weights_NK else None, alone=alone, halt=halt)
        seconds = time.perf_counter() - begun
        all_finite = all(output.finite_N.tolist())
        outcomes: list[Drawn | Exception] = []
        first = 0
        for part in parts:
            rows = slice(first, first + part.rows)
            first += part.rows
            if all_finite or output.finite_N[rows].all():
                outcomes.append(output.values[rows])
            else:
                outcomes.append(ModelOutputFault("The model's output for this request is not finite."))
        return outcomes, begun, seconds


def _run(begun: float, rows: int, drawn: _Drawn | None, error: Exception | None) -> Run:
    """Return what those who follow a run that has just ended are told of it."""
    ended = time.perf_counter()
    if drawn is None:
        return Run(begun, ended, rows, error=error)
    return Run(begun, ended, rows, inference_began=drawn[1], inference_s=drawn[2])


def _graph_inputs(parts: Sequence[Part[Rows]], latent: LatentSpec) -> Float32:
    """Return what the graph is fed for the rows of all parts, float32 ``[N, D]``."""
    whole = [
        part.payload.z
        for part in parts
        if isinstance(part.payload.z, Seeded) and part.rows == len(part.payload.z)
    ]
    together = drawn_together(whole, latent) if whole else None
    if together is not None and len(whole) == len(parts):
        return together
    fed, first = [], 0
    for part in parts:
        z = part.payload.z
        if not isinstance(z, Seeded):
            fed.append(z[part.start : part.stop])
        elif together is not None and part.rows == len(z):
            fed.append(together[first : first + part.rows])
            first += part.rows
        else:
            fed.append(z.drawn(latent)[part.start : part.stop])
    return joined(fed)


def joined(arrays: Sequence[ArrayT]) -> ArrayT:
    """Return the arrays as one, in order; a single one as it is."""
    return arrays[0] if len(arrays) == 1 else cast("ArrayT", np.concatenate(arrays))
