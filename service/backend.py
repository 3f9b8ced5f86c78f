"""One model behind the batcher: parts of requests become one run, and its output their results.

Shapes: N rows, D latent dimensions, K classes; images are uint8 ``[N, H, W, C]``, vectors float32
``[N, size]``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from contract.manifest import ImageOutput, VectorOutput
from contract.pixels import image_batch_to_pixels
from service.errors import ModelOutputFault
from service.jobs import Part

Float32 = NDArray[np.float32]
Drawn = NDArray[np.uint8] | Float32
ArrayT = TypeVar("ArrayT", bound=NDArray[Any])

# The most float32 values of a run's output: 64 MiB.
_RUN_VALUES = 2**24
_VECTOR_BATCH = 2048
# The most values of a request's latents, class weights and output: 64 MiB as pixels.
_REQUEST_VALUES = 2**26


@dataclass(frozen=True)
class Rows:
    """What one request feeds the graph: z float32 ``[N, D]`` and class weights float32 ``[N, K]``."""

    z_ND: Float32
    weights_NK: Float32 | None


class Draws(Protocol):
    """What runs rows: ``service.engine.Session``, or a fake."""

    def draw(self, z_ND: Float32, weights_NK: Float32 | None) -> Float32:
        """Return the output of each row, float32 ``[N, ...]``."""


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
        output: ImageOutput | VectorOutput,
        *,
        max_batch: int,
        queue_limit: int,
        pool: Executor,
        observe_inference: Callable[[float], None],
    ) -> None:
        self._session = session
        self._is_image = isinstance(output, ImageOutput)
        self.max_batch = max_batch
        self.queue_limit = queue_limit
        self._pool = pool
        self._observe_inference = observe_inference

    async def run(self, parts: Sequence[Part[Rows]]) -> Sequence[Drawn | Exception]:
        """Draw the rows of all parts in one run; a part whose output is not finite gets its own fault."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._draw, parts)

    def _draw(self, parts: Sequence[Part[Rows]]) -> list[Drawn | Exception]:
        z_ND = joined([part.payload.z_ND[part.start : part.stop] for part in parts])
        weights_NK: Any = [
            part.payload.weights_NK[part.start : part.stop]
            for part in parts
            if part.payload.weights_NK is not None
        ]
        begun = time.perf_counter()
        output = self._session.draw(z_ND, joined(weights_NK) if weights_NK else None)
        self._observe_inference(time.perf_counter() - begun)
        finite_N = np.atleast_1d(np.isfinite(output).reshape(len(output), -1).all(axis=1))
        if not finite_N.all():
            # NaN has no pixel; the rows it is in are withheld below.
            output = np.where(np.isfinite(output), output, np.float32(0))
        drawn = image_batch_to_pixels(output) if self._is_image else output
        outcomes: list[Drawn | Exception] = []
        first = 0
        for part in parts:
            rows = slice(first, first + part.rows)
            first += part.rows
            if finite_N[rows].all():
                outcomes.append(drawn[rows])
            else:
                outcomes.append(ModelOutputFault("The model's output for this request is not finite."))
        return outcomes


def joined(arrays: Sequence[ArrayT]) -> ArrayT:
    """Return the arrays as one, in order; a single one as it is."""
    return arrays[0] if len(arrays) == 1 else cast("ArrayT", np.concatenate(arrays))
