"""A bulk run, from its arguments to its report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from forger.bulk.drawing import drawn_segments
from forger.bulk.job import Job, chunk_of
from forger.bulk.pace import Pace
from forger.bulk.pieces import Piece, as_arrays, as_files
from forger.bulk.progress import Progress
from forger.bulk.sinks import Sink, sink_of
from forger.core import drawn_seed
from forger.errors import ChangedJob, ForgerError, Misuse
from forger.latents import whole
from forger.models import Model
from forger.options import Bulk
from forger.requests import Call

_CONCURRENCY = 8

CarryOut = Callable[[Call[Piece], Callable[[], None]], Awaitable[Piece]]
"""Carries a call out; the second argument is called whenever the service was too busy for it."""


@dataclass(frozen=True)
class Report:
    """What came of a bulk run."""

    job: Job
    drawn: int
    """How many images were drawn now, and not in an earlier run."""
    seconds: float
    failures: Mapping[int, str] = field(default_factory=dict)
    """Why each image that is not there could not be drawn, by its index."""
    is_finished: bool = True
    """Whether the files are what was asked for, but for the failures: these may be left out on request."""

    @property
    def is_complete(self) -> bool:
        """Whether everything is there."""
        return self.is_finished and not self.failures


async def run_bulk(described: Model, carry_out: CarryOut, n: int, how: Bulk) -> Report:
    """Draw ``n`` images of a model into a sink; see :meth:`forger.Client.bulk`."""
    sink = sink_of(how["sink"])
    pace = Pace(whole(how.get("concurrency") or _CONCURRENCY, "concurrency"))
    wanted = Job.of(described, n, how.get("seed") or 0, how.get("class_label"), how.get("truncation"))
    if not wanted.draws_images and not sink.takes_vectors:
        raise Misuse(f"{wanted.model} draws vectors, which {sink.kind} does not hold: use npz")
    finished, begun = sink.finished(), sink.begun()
    job = _job_to_do(wanted, finished or begun, how, sink)
    if finished is not None:
        sink.clear()
        return Report(job, 0, 0.0, sink.missing_in_manifest())
    started = time.monotonic()
    sink.begin(job)
    try:
        absent = [segment for segment in range(job.segments) if not sink.has(segment)]
        to_come = sum(len(job.range_of(segment)) for segment in absent)
        with Progress(job.n, job.n - to_come, pace, shown=how.get("progress")) as progress:
            fill = _Filling(carry_out, sink, job, chunk_of(described), allow_missing=how.get("allow_missing"))
            failures = await fill.all(absent, pace, progress.came)
        left_out = sink.missing()
        is_finished = failures.keys() <= left_out.keys()
        if is_finished:
            await asyncio.to_thread(sink.finish)
    except ForgerError:
        if begun is None:
            sink.abandon()
        raise
    finally:
        sink.close()
    seconds = time.monotonic() - started
    lacking = dict(sorted({**left_out, **failures}.items()))
    return Report(job, to_come - len(failures), seconds, lacking, is_finished)


def _job_to_do(wanted: Job, found: Job | None, how: Bulk, sink: Sink) -> Job:
    """Return the job that lies there, if it is the one that is wanted; else the one that is."""
    seed = how.get("seed")
    if found is None:
        return replace(wanted, seed=drawn_seed() if seed is None else wanted.seed)
    if not how.get("resume"):
        raise ChangedJob(f"a run lies at {sink.place}: resume it (--resume), or write elsewhere")
    replace(wanted, seed=found.seed if seed is None else wanted.seed).require_same(found)
    return found


class _Filling:
    """Draws and writes segments; one is written while the next is drawn."""

    def __init__(
        self, carry_out: CarryOut, sink: Sink, job: Job, chunk: int, *, allow_missing: bool | None
    ) -> None:
        self._carry_out = carry_out
        self._sink = sink
        self._job = job
        self._chunk = chunk
        self._allows_missing = bool(allow_missing)
        self._call_of = as_files if sink.wants_files else as_arrays
        self._writing: asyncio.Task[None] | None = None

    async def all(self, segments: Sequence[int], pace: Pace, came: Callable[[int], None]) -> dict[int, str]:
        """Draw and write the segments; return why single images could not be drawn."""
        failures: dict[int, str] = {}
        drawn = drawn_segments(self._job, segments, self._draw, self._chunk, pace, came)
        try:
            async with aclosing(drawn):
                async for segment in drawn:
                    await self._written()
                    failures |= segment.failures
                    if not segment.failures or self._allows_missing:
                        keep = asyncio.to_thread(
                            self._sink.keep, segment.number, segment.in_order(), segment.failures
                        )
                        self._writing = asyncio.create_task(keep)
        finally:
            await self._written()
        return failures

    async def _draw(self, indices: range, refused: Callable[[], None]) -> Piece:
        return await self._carry_out(self._call_of(self._job, indices), refused)

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing
