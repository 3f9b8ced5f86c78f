"""A server to besiege: the real one over models of one's choice, its processes, and what it draws in calm."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench.serving.machine import family
from contract.manifest import ImageOutput
from tests.chaos.serving.client import Client, Shot
from tests.fakes.models import FakeModel, write_models
from tests.fakes.server import ROOT, ServerProcess

SHIPPED = ROOT / "models"
ARRAY = {"Accept": "application/x-npy"}

_PICTURE = ImageOutput(height=32, width=32, channels=1)
SLOW = FakeModel("slow", output=_PICTURE, layers=200)
"""A row takes some tens of milliseconds, many together a few each: it is easily asked for too much."""
STEADY = FakeModel("steady", output=_PICTURE, layers=25)
"""A row takes a few milliseconds: requests share runs under any load."""
POISONED = replace(STEADY, name="poisoned", nan=True)
"""The same, but a latent that begins with ``NAN_AT`` makes it answer NaN."""

Counts = dict[tuple[str, ...], float]


@contextmanager
def server(
    folder: Path,
    models: Path | Sequence[FakeModel] = SHIPPED,
    surroundings: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[ServerProcess]:
    """Start the service in a folder of its own, over a directory of models or fakes yet to be written."""
    folder.mkdir(parents=True)
    directory = models if isinstance(models, Path) else write_models(folder / "models", models)
    process = ServerProcess(
        folder / "home", surroundings=surroundings or {}, models_dir=directory, **settings
    )  # fmt: skip
    with process as running:
        yield running


def workers(running: ServerProcess) -> list[psutil.Process]:
    """Return the processes that answer requests: all but the first, and Python's own helpers."""
    return [child for child in family(running.process.pid)[1:] if _serves(child)]


def _serves(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
        return process.status() != psutil.STATUS_ZOMBIE and not any(
            "resource_tracker" in word for word in words
        )
    except psutil.Error:
        return False


def draw(
    model: str, seed: int, rows: int, headers: Mapping[str, str] | None = None, **fields: object
) -> Shot:
    """Return a request for so many images of a seed, as one array."""
    body = {"model": model, "seed": seed, "n": rows, **fields}
    return Shot.post("/generate", body, {**ARRAY, **(headers or {})}, kind=model, rows=rows)


async def learnt(client: Client, shots: Iterable[Shot]) -> list[Shot]:
    """Send each shot to a server in calm, alone; return the shots with the digests of what came."""
    known = []
    for shot in shots:
        reply = await client.send(replace(shot, digest=None))
        assert reply.status == 200, f"not even in calm: {reply.outcome} {reply.status} {reply.content!r}"
        known.append(replace(shot, digest=hashlib.sha256(reply.content).digest()))
    return known


async def counts(client: Client, name: str) -> Counts:
    """Return a metric's values by the values of its labels, in the order of the labels' names."""
    reply = await client.send(Shot.get("/metrics"))
    assert reply.status == 200, f"no metrics: {reply.outcome} {reply.status} {reply.content!r}"
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(reply.content.decode())
        for sample in metric.samples
        if sample.name == name
    }


async def total(client: Client, name: str) -> float:
    """Return the sum of a metric over all its labels."""
    return sum((await counts(client, name)).values())
