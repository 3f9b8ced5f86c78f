"""What the machine does while something is measured on it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it has started."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    total = 0
    for process in family(pid):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds that processes and their children have taken."""
    total = 0.0
    for process in {one.pid: one for pid in pids for one in family(pid)}.values():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def busy_s() -> float:
    """Return the CPU seconds that the whole machine has been busy."""
    user, nice, system, _idle, _waiting, *others = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + sum(others)) / _TICKS


def wait_until_quiet(pids: Iterable[int], most_foreign: float = 0.05, patience_s: float = 30.0) -> bool:
    """Wait until others than the processes leave the machine alone; tell whether they did."""
    pids = list(pids)
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        busy, own, begun = busy_s(), cpu_s(pids), time.monotonic()
        time.sleep(0.4)
        foreign = ((busy_s() - busy) - (cpu_s(pids) - own)) / (time.monotonic() - begun)
        if foreign < most_foreign:
            return True
    return False
