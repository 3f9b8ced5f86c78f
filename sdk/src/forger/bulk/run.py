"""A bulk run, from its arguments to its report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forger.bulk.drawing import drawn_segments
from forger.bulk.job import ChangedJob, Job
from forger.bulk.pace import Pace
from forger.bulk.pieces import Piece, as_arrays, as_files
from forger.bulk.progress import Progress
from forger.bulk.sinks import Sink, sink_of
from forger.core import drawn_seed
from forger.errors import Misuse
from forger.options import Bulk

if TYPE_CHECKING:
    from forger.async_client import AsyncClient

_CHUNK = 64
_CONCURRENCY = 8


@dataclass(frozen=True)
class Report:
    """What came of a bulk run."""

    job: Job
    drawn: int
    """How many images were drawn now, and not in an earlier run."""
    seconds: float
    failures: Mapping[int, str] = field(default_factory=dict)
    """Why each image that is missing could not be drawn, by its index."""

    @property
    def is_complete(self) -> bool:
        """Whether everything is there."""
        return not self.failures


async def run_bulk(client: AsyncClient, n: int, how: Bulk) -> Report:
    """Draw ``n`` images into a sink; see :meth:`forger.Client.bulk`."""
    sink = sink_of(how["sink"])
    described = await client.model(how.get("model"))
    wanted = Job.of(described, n, how.get("seed") or 0, how.get("class_label"), how.get("truncation"))
    if not wanted.draws_images and not sink.takes_vectors:
        raise Misuse(f"{wanted.model} draws vectors, which {sink.kind} does not hold: use npz")
    finished, begun = sink.finished(), sink.begun()
    job = _job_to_do(wanted, finished or begun, how, sink)
    if finished is not None:
        return Report(job, 0, 0.0)
    started = time.monotonic()
    sink.begin(job)
    missing = [segment for segment in range(job.segments) if not sink.has(segment)]
    to_come = sum(len(job.range_of(segment)) for segment in missing)
    pace = Pace(how.get("concurrency", _CONCURRENCY))
    chunk = min(described.max_images, _CHUNK)
    with Progress(job.n, job.n - to_come, pace, shown=how.get("progress")) as progress:
        failures = await _fill(client, sink, job, missing, chunk, pace, progress.came)
    if not failures:
        await asyncio.to_thread(sink.finish)
    return Report(job, to_come - len(failures), time.monotonic() - started, failures)


def _job_to_do(wanted: Job, found: Job | None, how: Bulk, sink: Sink) -> Job:
    """Return the job that lies there, if it is the one that is wanted; else the one that is."""
    seed = how.get("seed")
    if found is None:
        return _with_seed(wanted, drawn_seed() if seed is None else seed)
    if not how.get("resume"):
        raise ChangedJob(f"a run lies at {sink.place}: resume it (--resume), or write elsewhere")
    _with_seed(wanted, found.seed if seed is None else seed).require_same(found)
    return found


def _with_seed(job: Job, seed: int) -> Job:
    return Job.read({**job.document(), "seed": seed})


async def _fill(
    client: AsyncClient,
    sink: Sink,
    job: Job,
    missing: Sequence[int],
    chunk: int,
    pace: Pace,
    came: Callable[[int], None],
) -> dict[int, str]:
    """Draw and write the missing segments; return why single images could not be drawn."""
    call_of = as_files if sink.wants_files else as_arrays

    async def draw(indices: range, refused: Callable[[], None]) -> Piece:
        return await client.carried_out(call_of(job, indices), refused)

    failures: dict[int, str] = {}
    writing: asyncio.Task[None] | None = None
    async for segment in drawn_segments(job, missing, draw, chunk, pace, came):
        if writing is not None:
            await writing
        if segment.failures:
            failures |= segment.failures
            continue
        writing = asyncio.create_task(asyncio.to_thread(sink.write, segment.number, segment.in_order()))
    if writing is not None:
        await writing
    return failures
