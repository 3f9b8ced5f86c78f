"""A model behind the batcher: every part gets its own rows, whatever else is in the run."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from contract.manifest import ImageOutput, VectorOutput
from contract.pixels import to_pixels
from service.backend import ModelBackend, Rows, rows_per_request, rows_per_run
from service.errors import ModelOutputFault
from service.jobs import Part

VECTOR = VectorOutput(size=2)
IMAGE = ImageOutput(height=1, width=2, channels=1)


class Echo:
    """Answers z itself, plus the number of the row's class; as an image, ``[N, 1, 1, 2]``."""

    def __init__(self, output: ImageOutput | VectorOutput) -> None:
        self._image = isinstance(output, ImageOutput)

    def draw(self, z_ND: np.ndarray, weights_NK: np.ndarray | None) -> np.ndarray:
        shift = 0 if weights_NK is None else weights_NK.argmax(axis=1)[:, None]
        output = (z_ND + shift).astype(np.float32)
        return output.reshape(-1, 1, 1, 2) if self._image else output


def rows(*firsts: float, classes: list[int] | None = None) -> Rows:
    z_ND = np.array([[first, 0.5] for first in firsts], np.float32)
    return Rows(z_ND, None if classes is None else np.eye(3, dtype=np.float32)[classes])


def run(output: ImageOutput | VectorOutput, *parts: Part[Rows]) -> list[object]:
    with ThreadPoolExecutor(1) as pool:
        backend = ModelBackend(
            Echo(output), output, max_batch=8, queue_limit=8, pool=pool, observe_inference=lambda _: None
        )
        return list(asyncio.run(backend.run(parts)))


def test_each_part_gets_the_rows_it_asked_for() -> None:
    one, other = rows(1, 2, 3, classes=[0, 1, 2]), rows(10, 20, classes=[2, 0])
    results = run(VECTOR, Part(one, 1, 3), Part(other, 0, 1), Part(one, 0, 1))
    assert [result.tolist() for result in results] == [
        [[3.0, 1.5], [5.0, 2.5]],
        [[12.0, 2.5]],
        [[1.0, 0.5]],
    ]


def test_images_come_as_pixels() -> None:
    [result] = run(IMAGE, Part(rows(-1, 0.25), 0, 2))
    assert result.dtype == np.uint8
    assert result.tolist() == to_pixels(np.array([[[[-1], [0.5]]], [[[0.25], [0.5]]]], np.float32)).tolist()


@pytest.mark.parametrize("output", [VECTOR, IMAGE])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_only_the_part_with_a_non_finite_row_fails(output: ImageOutput | VectorOutput, poison: float) -> None:
    bad, good = rows(0, poison, 0), rows(0.5, 0.25)
    results = run(output, Part(good, 0, 1), Part(bad, 0, 3), Part(good, 1, 2), Part(bad, 0, 1))
    assert [isinstance(result, ModelOutputFault) for result in results] == [False, True, False, False]
    assert results[0].tolist() != results[2].tolist()


def test_very_large_outputs_run_in_smaller_batches_and_requests() -> None:
    huge = ImageOutput(height=4096, width=4096, channels=4)
    assert rows_per_run(IMAGE, 32) == 32
    assert rows_per_run(huge, 32) == 1
    assert rows_per_run(VECTOR, 32) == 2048
    assert rows_per_request(IMAGE, 128, 10, 64) == 64
    assert rows_per_request(huge, 128, 10, 64) == 1
    assert rows_per_request(VECTOR, 1, 0, 65_536) == 65_536
    assert rows_per_request(VECTOR, 65_536, 0, 65_536) == 1024
    assert rows_per_request(VECTOR, 1, 65_536, 65_536) == 1024


def test_finite_vectors_are_handed_on_without_a_copy() -> None:
    class Fixed:
        output = np.ones((3, 2), np.float32)

        def draw(self, z_ND: np.ndarray, weights_NK: np.ndarray | None) -> np.ndarray:
            return self.output

    with ThreadPoolExecutor(1) as pool:
        backend = ModelBackend(
            Fixed(), VECTOR, max_batch=8, queue_limit=8, pool=pool, observe_inference=lambda _: None
        )
        results = asyncio.run(backend.run([Part(rows(1, 2, 3), 0, 2), Part(rows(1, 2, 3), 2, 3)]))
    assert all(np.shares_memory(result, Fixed.output) for result in results)
