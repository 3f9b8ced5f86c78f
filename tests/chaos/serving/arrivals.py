"""How requests come: at a rate of their own, whatever becomes of them, or each after the one before it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos.serving.client import Client, Reply, Shot

# Between two looks at the clock. A besieger that wakes for each request takes much of a small machine.
_TICK_S = 0.02


@dataclass
class Until:
    """The end of a load: after so many seconds, or when somebody says so."""

    seconds: float = float("inf")
    _told: bool = field(default=False, init=False)

    def now(self) -> None:
        """End the load."""
        self._told = True

    def reached(self, elapsed_s: float) -> bool:
        """Tell whether the load is over."""
        return self._told or elapsed_s >= self.seconds


async def at_rate(
    client: Client, shots: Iterator[Shot], per_second: float, until: Until, *, fresh_every: int = 0
) -> list[Reply]:
    """Send so many shots a second, however many are under way: an open loop, as the world is.

    Each ``fresh_every``-th has a connection of its own.
    """
    loop = asyncio.get_running_loop()
    begun, sent = loop.time(), 0
    under_way: set[asyncio.Task[None]] = set()
    replies: list[Reply] = []

    async def send(shot: Shot, *, fresh: bool) -> None:
        replies.append(await client.send(shot, fresh=fresh))

    while not until.reached(elapsed := loop.time() - begun):
        while sent < elapsed * per_second:
            sent += 1
            fresh = fresh_every > 0 and sent % fresh_every == 0
            task = loop.create_task(send(next(shots), fresh=fresh))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(_TICK_S)
    await asyncio.gather(*under_way)
    return replies


async def in_turns(
    client: Client,
    shots: Iterator[Shot],
    clients: int,
    until: Until,
    take_in: Callable[[Reply], object],
    *,
    pause_s: float = 0.0,
) -> None:
    """Let so many clients send shots, each the next when it has the answer to the last: a closed loop."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def play() -> None:
        while not until.reached(loop.time() - begun):
            take_in(await client.send(next(shots)))
            if pause_s:
                await asyncio.sleep(pause_s)

    await asyncio.gather(*(play() for _ in range(clients)))


async def rows_a_second(client: Client, shots: Sequence[Shot], clients: int, seconds: float) -> float:
    """Return what so many clients get of a server that has nothing else to do."""
    loop = asyncio.get_running_loop()
    replies: list[Reply] = []
    begun = loop.time()
    await in_turns(client, over_and_over(shots), clients, Until(seconds), replies.append)
    return sum(one.shot.rows for one in replies if one.status == 200) / (loop.time() - begun)


def over_and_over(shots: Sequence[Shot]) -> Iterator[Shot]:
    """Yield the shots in turns, for ever."""
    return itertools.cycle(shots)
