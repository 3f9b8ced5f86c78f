"""``make chaos ARGS="serving ..."``: the service under load and faults, scenario by scenario."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvloop

from bench.serving.machine import busy_s
from tests.chaos.serving import (
    cancellation,
    clock,
    crash,
    deadline,
    drain,
    fuzz,
    isolation,
    memory,
    overload,
)
from tests.chaos.serving.findings import Finding, keep, kept, table

_LOG_LINES = 60


@dataclass(frozen=True)
class Scenario:
    """What is done to a service, and how much of it in each form."""

    besiege: Callable[[Any, Path], Coroutine[Any, Any, Finding]]
    full: Any
    short: Any


SCENARIOS = {
    "overload": Scenario(overload.besiege, overload.FULL, overload.SHORT),
    "deadline": Scenario(deadline.besiege, deadline.FULL, deadline.SHORT),
    "cancellation": Scenario(cancellation.besiege, cancellation.FULL, cancellation.SHORT),
    "isolation": Scenario(isolation.besiege, isolation.FULL, isolation.SHORT),
    "drain": Scenario(drain.besiege, drain.FULL, drain.SHORT),
    "crash": Scenario(crash.besiege, crash.FULL, crash.SHORT),
    "crash-in-container": Scenario(
        crash.besiege,
        replace(crash.FULL, surroundings=crash.CONTAINER),
        replace(crash.SHORT, surroundings=crash.CONTAINER),
    ),
    "clock": Scenario(clock.besiege, clock.FULL, clock.SHORT),
    "fuzz": Scenario(fuzz.besiege, fuzz.FULL, fuzz.SHORT),
    "memory": Scenario(memory.besiege, memory.FULL, memory.SHORT),
    "memory-control": Scenario(
        memory.besiege,
        replace(memory.FULL, seconds=600.0, settled_s=60.0, leak_bytes=4096),
        replace(memory.SHORT, leak_bytes=262_144),
    ),
}


def carry_out(name: str, folder: Path, *, short: bool = False, **changes: Any) -> Finding:
    """Carry a scenario out in a folder of its own; ``changes`` are other values of its effort's fields."""
    scenario = SCENARIOS[name]
    effort = replace(scenario.short if short else scenario.full, **changes)
    begun, busy, own = time.monotonic(), busy_s(), _own_s()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        finding = runner.run(scenario.besiege(effort, folder))
    seconds = time.monotonic() - begun
    others = max(0.0, (busy_s() - busy) - (_own_s() - own)) / seconds / (os.cpu_count() or 1)
    more = {"seconds": round(seconds), "share of the machine that others took": round(others, 2)}
    return replace(finding, figures={**finding.figures, **more})


def _own_s() -> float:
    """Return the CPU seconds of this process and of all that it started and that have ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in times)


def main(arguments: Sequence[str]) -> int:
    """Return 0 if every law of every scenario was seen to hold."""
    asked = _arguments(arguments)
    if asked.table:
        print(table(kept()))
        return 0
    sound = True
    with tempfile.TemporaryDirectory(prefix="forger-siege-") as name:
        for scenario in asked.scenarios or SCENARIOS:
            finding = carry_out(scenario, Path(name) / scenario, short=asked.short)
            record = finding.record("short" if asked.short else "full")
            print(table([record]), flush=True)
            if not finding.holds:
                _show_log(Path(name) / scenario)
            if asked.keep:
                keep(record)
            sound = sound and finding.holds
    print("every law holds" if sound else "NOT EVERY LAW HOLDS")
    return 0 if sound else 1


def _show_log(folder: Path) -> None:
    """Show the end of what the scenario's last server has said."""
    logs = sorted(folder.rglob("home.log"), key=lambda file: file.stat().st_mtime)
    for line in logs[-1].read_text().splitlines()[-_LOG_LINES:] if logs else ():
        print(f"    {line}", flush=True)


def _known(scenario: str) -> str:
    # As choices, argparse would refuse to be given none.
    if scenario not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"{scenario!r} is none; there are {', '.join(SCENARIOS)}")
    return scenario


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", type=_known, help=f"which (all): {', '.join(SCENARIOS)}")
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes, and looser laws")
    parser.add_argument(
        "--keep", action="store_true", help="put what was found into bench/results/reliability.json"
    )
    parser.add_argument("--table", action="store_true", help="only show the table of what was kept")
    return parser.parse_args(arguments)
