"""What is measured of a model's sessions before they serve: how their runs are padded, and which are short.

A row's output is to be the same bits whatever batch it runs in. Kernels do not promise that (a matrix
product of one row may take another path than one of two), so it is measured for every model, and the least
padding is picked under which it holds.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import takewhile
from typing import Any

import numpy as np

from contract.latents import standard_normal
from contract.pixels import image_batch_to_pixels
from service.engine.devices import Device
from service.engine.padding import Padding, paddings, probed_batches
from service.engine.session import Float32, Graph, Proof, Session, feed

logger = logging.getLogger("forger.engine")

# Batches to this size are probed from their first and their last places, larger ones from one of the two.
_THOROUGHLY_PROBED = 33
_WIDELY_PROBED = 8
_SHORT_S = 0.002
_QUICK_S = 0.004
_TRIES = 8
_LONG_S = 0.008
_LONG_TRIES = 3
_WORTH = 0.95


def document_of(proof: Proof) -> dict[str, Any]:
    """Return a proof as JSON has it, for another process."""
    return asdict(proof) | {"padding": proof.padding.name}


def proof_in(document: Mapping[str, Any], max_batch: int, device: Device) -> Proof | None:
    """Return the proof that another process measured, or None if it can be none."""
    padding = {rule.name: rule for rule in paddings(max_batch, device)}.get(str(document.get("padding")))
    facts: dict[str, Any] = {name: document.get(name) for name in ("quantum", "best_batch")}
    if padding is None or any(type(most) is not int or not 1 <= most <= max_batch for most in facts.values()):
        return None
    facts |= {name: bool(document.get(name)) for name in ("bit_identical", "fused", "wide", "is_quick")}
    return Proof(padding=padding, **facts)


def measured(
    narrow: Any,  # noqa: ANN401 - onnxruntime is untyped
    graph: Graph,
    *,
    max_batch: int,
    device: Device,
    wide: Any = None,  # noqa: ANN401 - the same
    threads: int = 1,
) -> Proof:
    """Measure sessions of one graph, on so many threads. Raises what a run of theirs raises."""
    rows = _Rows(graph, max_batch)
    probe, bit_identical = _padded_least(narrow, graph, rows, paddings(max_batch, device), threads)
    proof = Proof(
        padding=probe.padding,
        bit_identical=bit_identical,
        fused=graph.pixels is not None and probe.pixels_follow_the_rule(),
        wide=wide is not None and probe.is_the_same_on(wide),
        is_quick=False,
        quantum=1,
        best_batch=1,
    )
    clock = _Clock(Session(narrow, graph, proof, max_batch=max_batch, wide=wide), rows)
    is_quick = clock.takes_at_most(_QUICK_S, 1, alone=True)
    sizes = [2 << power for power in range(max_batch.bit_length() - 1)]
    quantum = max([1, *takewhile(lambda size: clock.takes_at_most(_SHORT_S, size), sizes)])
    best_batch = _best_batch(clock, quantum, max_batch)
    return replace(proof, is_quick=is_quick, quantum=quantum, best_batch=best_batch)


class _Rows:
    """Rows that exercise a model: random latents, and every kind of class weights."""

    def __init__(self, graph: Graph, count: int) -> None:
        self.count = count
        self._z_ND = standard_normal([0] * count, list(range(count)), graph.dim)
        self._weights_NK = None if graph.classes is None else _weights(count, graph.classes)

    def at(self, place: slice) -> tuple[Float32, Float32 | None]:
        """Return the latents and the class weights of some of them."""
        return self._z_ND[place], None if self._weights_NK is None else self._weights_NK[place]


def _weights(count: int, classes: int) -> Float32:
    weights_NK = np.zeros((count, classes), np.float32)
    for row in range(count):
        weights_NK[row, row % classes] += np.float32(0.75)
        weights_NK[row, (row // 2) % classes] += np.float32(0.25)
    return weights_NK


def _padded_least(
    narrow: Any,  # noqa: ANN401 - onnxruntime is untyped
    graph: Graph,
    rows: _Rows,
    rules: list[Padding],
    threads: int,
) -> tuple[_Probe, bool]:
    """Return the probe of the first rule under which rows keep their bits, or of the last; and if they do."""
    for rule in rules:
        probe = _Probe(narrow, graph, rows, rule)
        if probe.is_bit_identical(threads):
            return probe, True
    logger.warning("rows differ in their last bits with the batch, whatever the padding")
    return probe, False


class _Probe:
    """What becomes of rows under a rule of padding."""

    def __init__(self, narrow: Any, graph: Graph, rows: _Rows, padding: Padding) -> None:  # noqa: ANN401 - onnxruntime is untyped
        self._narrow, self._graph, self._rows = narrow, graph, rows
        self.padding = padding

    def is_bit_identical(self, threads: int) -> bool:
        """Tell whether rows come out the same from the first and the last places of other batches."""
        reference = self._drawn(slice(None))

        def holds(place: slice) -> bool:
            return self._drawn(place).tobytes() == reference[place].tobytes()

        first, *others = _probed_places(self._rows.count)
        if not holds(first):  # most kernels that differ at all differ for a single row
            return False
        with ThreadPoolExecutor(threads) as pool:
            return all(pool.map(holds, others))

    def pixels_follow_the_rule(self) -> bool:
        """Tell whether the graph's pixels are those that the rule makes of its output."""
        raw, pixels = self._run(self._narrow, slice(None), [self._graph.output, self._graph.pixels])
        finite = np.isfinite(raw).reshape(len(raw), -1).all(axis=1)
        if np.array_equal(image_batch_to_pixels(raw[finite]), pixels[finite]):
            return True
        logger.warning("the graph's own pixels differ from the pixel rule: they are made outside of it")
        return False

    def is_the_same_on(self, wide: Any) -> bool:  # noqa: ANN401 - onnxruntime is untyped
        """Tell whether another session gives single rows the same bits."""
        for row in range(min(self._rows.count, _WIDELY_PROBED)):
            place = slice(row, row + 1)
            if self._drawn(place, wide).tobytes() != self._drawn(place).tobytes():
                logger.info("two threads give other bits than one: single rows run on one")
                return False
        return True

    def _drawn(self, place: slice, runtime: Any = None) -> Float32:  # noqa: ANN401 - onnxruntime is untyped
        output: Float32 = self._run(runtime or self._narrow, place, [self._graph.output])[0]
        return output[: len(self._rows.at(place)[0])]

    def _run(self, runtime: Any, place: slice, names: list[str | None]) -> Any:  # noqa: ANN401 - the same
        z_ND, weights_NK = self._rows.at(place)
        return runtime.run(names, feed(self._graph, self.padding.size(len(z_ND)), z_ND, weights_NK))


class _Clock:
    """Measures runs of a session."""

    def __init__(self, session: Session, rows: _Rows) -> None:
        self._session, self._rows = session, rows

    def seconds(self, size: int, *, alone: bool = False) -> float:
        """Return what one run of so many rows takes."""
        z_ND, weights_NK = self._rows.at(slice(0, size))
        begun = time.perf_counter()
        self._session.draw(z_ND, weights_NK, alone=alone)
        return time.perf_counter() - begun

    def takes_at_most(self, most_s: float, size: int, *, alone: bool = False) -> bool:
        """Tell whether a run takes so long at most. Once is enough: the machine may be busy with others."""
        return any(self.seconds(size, alone=alone) <= most_s for _ in range(_TRIES))


def _best_batch(clock: _Clock, quantum: int, max_batch: int) -> int:
    """Return the rows of the longest run that is worth its length: shorter ones let others in sooner.

    It takes eight milliseconds at most, or its rows take less each than those of a run half as long.
    """
    if 2 * quantum > max_batch:
        return max_batch
    best, row_s = quantum, min(clock.seconds(quantum) for _ in range(_LONG_TRIES)) / quantum
    while 2 * best <= max_batch:
        enough_s = max(_LONG_S, _WORTH * row_s * 2 * best)
        least_s = math.inf
        for _ in range(_LONG_TRIES):
            least_s = min(least_s, clock.seconds(2 * best))
            if least_s <= enough_s:
                break
        else:
            return best
        best *= 2
        row_s = min(row_s, least_s / best)  # one that is slow for another reason makes no longer run worth it
    return max_batch


def _probed_places(max_batch: int) -> list[slice]:
    """Return batches, by where they lie in the largest one: a single row first."""
    places: list[slice] = []
    for turn, size in enumerate(probed_batches(max_batch)):
        both = (slice(0, size), slice(max_batch - size, max_batch))
        places.extend(both if size <= _THOROUGHLY_PROBED else both[turn % 2 :][:1])
    return places or [slice(0, max_batch)]
