"""The campaign against loading: mutated model directories, loaded in children that may die of them.

A child that dies, or says nothing for long, is a finding; the directory that did it is kept. Another child
goes on behind it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.loads import ROOT, mutated, subjects, write

PATIENCE_S = 300.0
MIBYTES = 3072
"""Of address space, for each child: three times what a model may take by default."""
_SLOW_S = 20.0


@dataclass
class Findings:
    """What came of how many files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    kept: list[Path] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    """How trials were ended, which is what they are for: the service goes on."""

    @property
    def files(self) -> int:
        return self.outcomes.total()

    def take_in(self, line: dict[str, Any]) -> None:
        """Count what a child says of a file."""
        outcome, _, reason = line["outcome"].partition(":")
        self.outcomes[outcome] += 1
        if outcome == "ended the trial":
            self.endings[f"{reason.strip()} (file {line['number']})"] += 1
        self.slowest_s = max(self.slowest_s, line["seconds"])
        if outcome == "FAULT" or line["seconds"] > _SLOW_S:
            self.faults.append(
                f"file {line['number']} ({line['how']}): {line['seconds']} s, {outcome}:{reason}"
            )


class _Child:
    """One process that loads files, and the lines that it says."""

    def __init__(self, seed: int, first: int, step: int, last: int) -> None:
        arguments = [seed, first, step, last, MIBYTES]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the child has ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.loads", *map(str, arguments)], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=self._said, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def end(self, *, is_stuck: bool) -> str:
        """Return how the process ended; one that is stuck is made to."""
        try:
            status = self.process.wait(0 if is_stuck else PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().splitlines()[-1:]
        self._said.close()
        died = f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
        return f"{died}: {' '.join(said)[-300:]}" if status else ""


def load_mutated(files: int, seed: int, keep: Path, *, first: int = 0, step: int = 1) -> Findings:
    """Load every ``step``-th of so many mutated directories; those that end a child are kept."""
    findings, number = Findings(), first
    while number < files:
        child = _Child(seed, number, step, files)
        is_stuck = False
        try:
            while (line := child.lines.get(timeout=PATIENCE_S)) is not None:
                findings.take_in(json.loads(line))
                number += step
        except queue.Empty:
            is_stuck = True
        died = child.end(is_stuck=is_stuck)
        if number < files or died:
            findings.outcomes["DIED"] += 1
            findings.faults.append(f"file {number}: {'stuck, ' if is_stuck else ''}the child {died}")
            findings.kept.append(_kept(seed, number, keep))
            number += step
    return findings


def _kept(seed: int, number: int, keep: Path) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        name, version, content, _ = mutated(subjects(Path(folder)), seed, number)
    return write(keep / f"{seed}-{number}", name, version, content).path


def campaign(files: int, seed: int, jobs: int, keep: Path) -> bool:
    """Load so many files in ``jobs`` children at a time, print what came of it; tell whether all was well."""
    begun = time.monotonic()
    results: list[Findings] = []
    threads = [
        threading.Thread(
            target=lambda first=first: results.append(load_mutated(files, seed, keep, first=first, step=jobs))
        )
        for first in range(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = sum((one.outcomes for one in results), Counter[str]())
    faults = [fault for one in results for fault in one.faults]
    seconds = time.monotonic() - begun
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())
    slowest = max((one.slowest_s for one in results), default=0.0)
    print(f"{counts.total():,} files in {seconds:,.0f} s ({counts.total() / seconds:,.0f} a second): {told}")
    print(f"the slowest took {slowest:.1f} s")
    for ending in (one for result in results for one in result.endings):
        print(f"a trial was ended: {ending}")
    for fault in faults:
        print(fault)
    kept = [path for one in results for path in one.kept]
    if kept:
        print(f"what ended a child is kept in {keep}")
    return not faults and len(results) == jobs


def main(arguments: Sequence[str]) -> int:
    """Return 0 if no directory ended the process that loaded it."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=models", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="mutated directories (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="of the mutations (random)"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="children at a time (%(default)s)"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path("build/chaos"), help="for what is found (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}", flush=True)
    return 0 if campaign(asked.files, asked.seed, asked.jobs, asked.keep) else 1
