"""Drawing a job's segments: several requests at once, as many as the service likes, in bounded memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from forger.bulk.job import Job
from forger.bulk.pace import Pace
from forger.bulk.pieces import Piece
from forger.errors import ChangedModel, ModelOutput, Problem, Unexpected


class Draws(Protocol):
    """What draws a range of a job's images; ``refused`` is called whenever the service is too busy."""

    async def __call__(self, indices: range, refused: Callable[[], None]) -> Piece:
        """Return the images in order."""


@dataclass
class Segment:
    """A segment on its way: its pieces by their first index, and the images that cannot be drawn."""

    number: int
    waiting: int
    pieces: dict[int, Piece] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    def in_order(self) -> list[Piece]:
        """Return the pieces in the order of their images."""
        return [self.pieces[first] for first in sorted(self.pieces)]


_Under = set[asyncio.Task[tuple[Segment, range]]]


async def drawn_segments(
    job: Job, numbers: Sequence[int], draw: Draws, chunk: int, pace: Pace, done: Callable[[int], None]
) -> AsyncGenerator[Segment, None]:
    """Yield segments as they are complete, mostly in order; ``done`` is told how many images came.

    No more than two segments are under way at once, whatever is slow. Images that the service cannot draw are
    the segment's ``failures``; raises whatever else goes wrong.
    """
    chunks = _chunks(job, numbers, chunk)
    open_segments: dict[int, Segment] = {}
    following = next(chunks, None)
    tasks: _Under = set()
    try:
        while following is not None or tasks:
            while following is not None and len(tasks) < pace.limit:
                number, indices = following
                if number not in open_segments:
                    if len(open_segments) >= 2:
                        break
                    waiting = sum(1 for _ in job.chunks(number, chunk))
                    open_segments[number] = Segment(number, waiting)
                segment = open_segments[number]
                tasks.add(asyncio.create_task(_draw_into(segment, indices, job, draw, pace)))
                following = next(chunks, None)
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                segment, indices = task.result()
                tasks.remove(task)
                done(len(indices))
                segment.waiting -= 1
                if segment.waiting == 0:
                    yield open_segments.pop(segment.number)
    finally:
        await _end(tasks)


async def _end(tasks: _Under) -> None:
    """Cancel what is under way, and wait for it; what else went wrong in it is not the first fault."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _chunks(job: Job, numbers: Sequence[int], size: int) -> Iterator[tuple[int, range]]:
    for number in numbers:
        for indices in job.chunks(number, size):
            yield number, indices


async def _draw_into(
    segment: Segment, indices: range, job: Job, draw: Draws, pace: Pace
) -> tuple[Segment, range]:
    """Draw a chunk; what cannot be drawn is looked for by halves, so that the rest of it is."""
    sent_in = pace.round
    try:
        piece = await draw(indices, lambda: pace.was_refused(sent_in))
    except (ModelOutput, Unexpected) as error:
        if len(indices) == 1:
            segment.failures[indices.start] = _reason(error)
            return segment, indices
        middle = indices.start + len(indices) // 2
        for half in (range(indices.start, middle), range(middle, indices.stop)):
            await _draw_into(segment, half, job, draw, pace)
        return segment, indices
    if piece.digest != job.digest:
        raise ChangedModel(f"{job.model}:{job.version} has become another model ({piece.digest}) meanwhile")
    pace.went_well()
    segment.pieces[indices.start] = piece
    return segment, indices


def _reason(error: Problem) -> str:
    """Return why; a million images that fail for one reason have it once in memory."""
    return sys.intern(f"{error.slug}: {error.detail}")
