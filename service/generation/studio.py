"""Carries out orders: latents on threads, rows through the batcher, images all at once or as they come."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from service.backend import Drawn, ModelBackend, Rows, Seeded, joined
from service.batcher import Batcher
from service.errors import QueueFull
from service.generation.labels import weights_matrix
from service.generation.latent_refs import Latents
from service.generation.order import Drawing, Order
from service.jobs import Delivery
from service.journey import Journey

ReturnT = TypeVar("ReturnT")

LIGHT_ROWS = 256
"""Rows that are placed and made ready at once, in a millisecond or two at worst."""


# For so long after a request did not fit, others are expected not to.
_REMEMBERED_S = 1.0


class Studio:
    """Draws on the batcher, and prepares and encodes on threads of its own."""

    def __init__(self, batcher: Batcher, pool: Executor) -> None:
        self._batcher = batcher
        self._pool = pool
        self._rows_on_threads: Counter[ModelBackend] = Counter()
        self._full_until = 0.0

    @property
    def was_full(self) -> bool:
        """Whether the last request that did not fit came within this second or so."""
        return time.monotonic() < self._full_until

    def require_room(self, backend: ModelBackend, rows: int) -> None:
        """Raise ``QueueFull`` if so many rows more may not wait for the model."""
        try:
            self._batcher.require_room(backend, rows)
        except QueueFull:
            self._full_until = time.monotonic() + _REMEMBERED_S
            raise

    async def draw(self, order: Order, deadline: float) -> Drawing:
        """Draw what was ordered, before ``deadline`` of the event loop's clock.

        Raises ``InvalidInput`` for latents that do not fit the model, ``QueueFull`` if as many rows as may
        wait for the model do, or are at the studio's threads already, and whatever the batcher raises.
        """
        latents, rows = await self._prepared(order)
        if order.journey is not None:
            _tell(order.journey, order)
        delivery: Delivery[Drawn] = await self._batcher.submit(
            order.model.backend, rows, order.count, deadline
        )
        return _drawing(order, latents, delivery)

    async def begin(self, order: Order, deadline: float) -> Showing:
        """Return once the order's rows wait in the queue: what is drawn is handed over as it comes.

        Raises as :meth:`draw` does for all that goes wrong before.
        """
        latents, rows = await self._prepared(order)
        if order.journey is not None:
            _tell(order.journey, order)
        showing = Showing(order, latents)
        showing.start(self._batcher.submit(order.model.backend, rows, order.count, deadline, showing))
        await showing.admission()
        return showing

    async def _prepared(self, order: Order) -> tuple[Latents | None, Rows]:
        backend, count = order.model.backend, order.count
        self.require_room(backend, count)  # before any work is done for it
        busy = self._rows_on_threads.get(backend, 0)
        if busy + count > backend.queue_limit:
            raise QueueFull(
                f"{busy} rows of this model are being prepared or encoded and at most {backend.queue_limit} "
                f"may; {count} more do not fit."
            )
        if isinstance(order.latents, Seeded) and count <= LIGHT_ROWS:
            return _prepare(order)
        return await self.work_on(order, count, _prepare, order)

    async def work_on(
        self,
        order: Order,
        rows: int,
        function: Callable[..., ReturnT],
        *args: Any,  # noqa: ANN401 - any arguments
    ) -> ReturnT:
        """Run a function on the studio's threads, where so many of the order's rows wait until it ends."""
        backend, busy = order.model.backend, self._rows_on_threads
        busy[backend] += rows
        try:
            return await self.off_loop(function, *args)
        finally:
            busy[backend] -= rows
            if not busy[backend]:
                del busy[backend]  # a model that is not served any more must not be kept

    async def off_loop(self, function: Callable[..., ReturnT], *args: Any) -> ReturnT:  # noqa: ANN401 - any arguments
        """Run a function on the studio's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)


class Showing:
    """An order under way whose images are seen as they are drawn; the batcher's ``Watcher``."""

    def __init__(self, order: Order, latents: Latents | None) -> None:
        self.order = order
        self.latents = latents
        self._admitted = asyncio.Event()
        self._news: asyncio.Queue[tuple[int, Drawn] | None] = asyncio.Queue()
        self._work: asyncio.Future[Delivery[Drawn]] | None = None

    def start(self, work: Any) -> None:  # noqa: ANN401 - the coroutine of Batcher.submit
        """Start the work in the background."""
        self._work = asyncio.ensure_future(work)
        self._work.add_done_callback(self._ended)

    def admitted(self) -> None:
        """Note that the rows wait in the queue (``jobs.Watcher``)."""
        self._admitted.set()

    def part_done(self, start: int, result: Drawn) -> None:
        """Note that some rows are drawn (``jobs.Watcher``)."""
        self._news.put_nowait((start, result))

    def _ended(self, work: asyncio.Future[Delivery[Drawn]]) -> None:
        if not work.cancelled():
            work.exception()  # marks it as seen: nobody may be left to look
        self._admitted.set()
        self._news.put_nowait(None)

    async def admission(self) -> None:
        """Return once the rows wait in the queue; raise what kept them out of it."""
        assert self._work is not None
        try:
            await self._admitted.wait()
        except asyncio.CancelledError:
            self.close()
            raise
        if self._work.done():
            self._work.result()

    async def parts(self) -> AsyncIterator[tuple[int, Drawn]]:
        """Yield the number of a part's first row, and what was drawn, in the order of the rows.

        Raises whatever the batcher raises, after the parts that were done before.
        """
        assert self._work is not None
        due, early = 0, {}
        while (news := await self._news.get()) is not None:
            early[news[0]] = news[1]
            while due in early:
                drawn = early.pop(due)
                yield due, drawn
                due += len(drawn)
        self._work.result()

    def drawing(self) -> Drawing:
        """Return all of it, once all parts have been yielded."""
        assert self._work is not None
        return _drawing(self.order, self.latents, self._work.result())

    def close(self) -> None:
        """Drop what has not been drawn."""
        if self._work is not None:
            self._work.cancel()


def _drawing(order: Order, latents: Latents | None, delivery: Delivery[Drawn]) -> Drawing:
    drawn = joined(delivery.results)
    return Drawing(order, latents, drawn, delivery.queue_s, delivery.run_s, delivery.batch_rows)


def _tell(journey: Journey, order: Order) -> None:
    model = order.model
    journey.queued(f"{model.name}:{model.version}", model.digest, order.origins[0].seed, order.count)


def _prepare(order: Order) -> tuple[Latents | None, Rows]:
    classes = order.model.manifest.classes
    weights_NK = None
    if order.labels is not None and classes is not None:
        weights_NK = weights_matrix(order.labels, len(classes))
    latents = order.computed_latents()
    if latents is not None:
        return latents, Rows(latents.z_ND, weights_NK, order.journey)
    assert isinstance(order.latents, Seeded)
    return None, Rows(order.latents, weights_NK, order.journey)
