"""A model behind the batcher: every part gets its own rows, whatever else is in the run."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from contract.latents import Prior, Truncation, graph_input, standard_normal
from contract.manifest import ImageOutput, LatentSpec, VectorOutput
from service.backend import ModelBackend, Rows, Seeded, rows_per_request, rows_per_run
from service.engine import Lanes, Output
from service.errors import ModelOutputFault
from service.jobs import Part

VECTOR = VectorOutput(size=2)
IMAGE = ImageOutput(height=1, width=2, channels=1)
MOST = 2**53 - 1


class Echo:
    """Answers z itself, plus the number of the row's class; remembers how many rows each run had."""

    quantum, is_quick = 3, True

    def __init__(self) -> None:
        self.runs: list[int] = []

    def draw(self, z_ND: np.ndarray, weights_NK: np.ndarray | None, **how: object) -> Output:
        self.runs.append(len(z_ND))
        shift = 0 if weights_NK is None else weights_NK.argmax(axis=1)[:, None]
        return Output((z_ND + shift).astype(np.float32), np.isfinite(z_ND).all(axis=1))


def rows(*firsts: float, classes: list[int] | None = None) -> Rows:
    z_ND = np.array([[first, 0.5] for first in firsts], np.float32)
    return Rows(z_ND, None if classes is None else np.eye(3, dtype=np.float32)[classes])


async def drawn(backend: ModelBackend, parts: Sequence[Part[Rows]], **how: bool) -> Sequence[object]:
    """Return what came of a run."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sequence[object]] = loop.create_future()
    backend.run(parts, lambda outcomes: loop.call_soon_threadsafe(future.set_result, outcomes), **how)
    return await future


def run(*parts: Part[Rows], session: object = None, prior: Prior = Prior.NORMAL) -> list[object]:
    with contextlib.closing(Lanes(1)) as lanes:
        backend = ModelBackend(
            session or Echo(),
            LatentSpec(dim=2, prior=prior),
            max_batch=8,
            queue_limit=8,
            lanes=lanes,
            observe_inference=lambda _: None,
        )
        return list(asyncio.run(drawn(backend, parts)))


def test_each_part_gets_the_rows_it_asked_for() -> None:
    one, other = rows(1, 2, 3, classes=[0, 1, 2]), rows(10, 20, classes=[2, 0])
    results = run(Part(one, 1, 2), Part(other, 0, 1), Part(one, 0, 1))
    assert [result.tolist() for result in results] == [
        [[3.0, 1.5], [5.0, 2.5]],
        [[12.0, 2.5]],
        [[1.0, 0.5]],
    ]


@pytest.mark.parametrize(
    ("prior", "truncated"),
    [
        (Prior.NORMAL, False),
        (Prior.NORMAL, True),
        (Prior.UNIFORM, False),
        (Prior.UNIFORM, True),
        (Prior.SPHERE, False),
    ],
)
def test_seeds_are_drawn_in_the_run_as_each_would_be_alone(
    prior: Prior,
    truncated: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Rows that are named and rows that are given stand in one run, in any order."""
    truncation = Truncation(mode="scale", value=0.5) if truncated else None
    indices = [0, 1, 2, MOST]
    series, other = Seeded(7, indices, truncation), Seeded(MOST, [3])
    session = Echo()
    given = rows(5)
    results = run(
        Part(Rows(series, None), 1, 3),
        Part(given, 0, 1),
        Part(Rows(other, None), 0, 1),
        Part(Rows(series, None), 0, 1),
        session=session,
        prior=prior,
    )
    assert session.runs == [6]

    def alone(seed: int, index: int, how: Truncation | None) -> bytes:
        return graph_input(standard_normal([seed], [index], 2), prior, how).tobytes()

    drawn = [alone(7, index, truncation) for index in indices]
    expected = [b"".join(drawn[1:]), given.z.tobytes(), alone(MOST, 3, None), drawn[0]]
    assert [result.tobytes() for result in results] == expected


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_only_the_part_with_a_non_finite_row_fails(poison: float) -> None:
    bad, good = rows(0, poison, 0), rows(0.5, 0.25)
    results = run(Part(good, 0, 1), Part(bad, 0, 3), Part(good, 1, 1), Part(bad, 0, 1))
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


def test_what_was_drawn_is_handed_on_without_a_copy() -> None:
    class Fixed:
        output = Output(np.ones((3, 2), np.float32), np.ones(3, np.bool_))
        quantum, is_quick = 1, False

        def draw(self, z_ND: np.ndarray, weights_NK: np.ndarray | None, **how: object) -> Output:
            return self.output

    results = run(Part(rows(1, 2, 3), 0, 2), Part(rows(1, 2, 3), 2, 1), session=Fixed())
    assert all(np.shares_memory(result, Fixed.output.values) for result in results)


@pytest.mark.parametrize("is_quick", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_a_quick_row_is_drawn_at_once_where_it_is_asked_for(
    is_quick: bool,  # noqa: FBT001 - a parameter of the test
    at_once: bool,  # noqa: FBT001 - the same
    alone: bool,  # noqa: FBT001 - the same
) -> None:
    class Noting(Echo):
        def draw(self, z_ND: np.ndarray, weights_NK: np.ndarray | None, **how: object) -> Output:
            self.thread = threading.get_ident()
            self.alone = how["alone"]
            return super().draw(z_ND, weights_NK)

    session = Noting()
    session.is_quick = is_quick
    with contextlib.closing(Lanes(1)) as lanes:
        backend = ModelBackend(
            session,
            LatentSpec(dim=2, prior=Prior.NORMAL),
            max_batch=8,
            queue_limit=8,
            lanes=lanes,
            observe_inference=lambda _: None,
        )
        [result] = asyncio.run(drawn(backend, [Part(rows(1), 0, 1)], alone=alone, at_once=at_once))
    assert result.tolist() == [[1.0, 0.5]]
    assert (session.thread == threading.get_ident()) == (is_quick and at_once)
    assert session.alone == alone, "a row that is alone may use all threads, wherever it is drawn"
