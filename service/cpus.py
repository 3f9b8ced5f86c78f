"""How many processors this process may use: of those that it may run on, no more than its quota.

A container of two CPUs on a machine of sixty-four sees all sixty-four; with as many threads it would be
stopped for most of each tenth of a second. Sources: cgroups(7), and the kernel's documents of cgroup-v2
(``cpu.max``) and sched-bwc (``cpu.cfs_quota_us``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """Return how many threads can compute at once, at least one."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _quota())))


def _quota(own: Path = _OWN, cgroups: Path = _CGROUPS) -> float:
    """Return the CPUs that the process's control groups grant it: infinity without a limit."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # another system
        return math.inf
    granted = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            granted += [_of_version_2(folder / "cpu.max") for folder in _and_above(cgroups, path)]
        elif "cpu" in controllers.split(","):
            granted += [_of_version_1(folder) for folder in _and_above(cgroups / controllers, path)]
    return min(granted)


def _and_above(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a control group and of those that it lies in.

    A container may see its own group as the root, under the path that the host knows.
    """
    names = [name for name in path.split("/") if name not in ("", "..")]
    for depth in range(len(names), -1, -1):
        yield root.joinpath(*names[:depth])


def _of_version_2(file: Path) -> float:
    try:
        quota, period = file.read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _of_version_1(folder: Path) -> float:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return math.inf if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
