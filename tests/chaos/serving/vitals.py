"""What the processes of a service hold, over time: memory, descriptors, threads."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

from bench.serving.machine import family
from tests.chaos.serving.figures import trend


@dataclass(frozen=True)
class Vitals:
    """All processes of a service at one moment."""

    at: float
    memory_mib: float
    """Proportional set size: what is shared counts once. Resident size where the system knows no better."""
    descriptors: int
    threads: int


def vitals(pid: int) -> Vitals:
    """Look at a process and all that it has started."""
    memory, descriptors, threads = 0.0, 0, 0
    for process in family(pid):
        try:
            full = process.memory_full_info()
            memory += getattr(full, "pss", full.rss)
            descriptors += process.num_fds()
            threads += process.num_threads()
        except psutil.Error:
            continue
    return Vitals(time.monotonic(), memory / 2**20, descriptors, threads)


@dataclass
class Chart:
    """Vitals over time, and what can be said of their course."""

    samples: list[Vitals] = field(default_factory=list)

    def after(self, seconds: float) -> Chart:
        """Return the chart without its first seconds."""
        begun = self.samples[0].at
        return Chart([one for one in self.samples if one.at - begun >= seconds])

    def memory_growth(self) -> float:
        """Return by what share memory grew from the chart's begin to its end, outliers left aside."""
        times = [one.at for one in self.samples]
        slope = trend(times, [one.memory_mib for one in self.samples])
        return slope * (times[-1] - times[0]) / self._median("memory_mib", self.samples)

    def gained(self, name: str) -> float:
        """Return by how much a figure's median in the last third is above that in the first."""
        third = max(1, len(self.samples) // 3)
        return self._median(name, self.samples[-third:]) - self._median(name, self.samples[:third])

    @staticmethod
    def _median(name: str, samples: list[Vitals]) -> float:
        return statistics.median(getattr(one, name) for one in samples)


@asynccontextmanager
async def charted(pid: int, every_s: float) -> AsyncIterator[Chart]:
    """Take the vitals of a service again and again as long as the block lasts."""
    chart = Chart([vitals(pid)])

    async def watch() -> None:
        while True:
            await asyncio.sleep(every_s)
            chart.samples.append(vitals(pid))

    watching = asyncio.create_task(watch())
    try:
        yield chart
    finally:
        watching.cancel()
    chart.samples.append(vitals(pid))
