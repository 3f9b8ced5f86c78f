"""A run that is asked to stop, in each way that people and machines ask, or trained by two at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.command import PATIENCE_S, ROOT, Budget, Command, carry_out, to_go_on
from tests.chaos.evidence import differences, evidence
from training.run import RunDirectory

WAYS = {
    "Ctrl-C": (signal.SIGINT,),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    "Ctrl-C five times": (signal.SIGINT,) * 5,
    "SIGTERM": (signal.SIGTERM,),
    "SIGHUP": (signal.SIGHUP,),
}
_INTERRUPTED = 130


def stop_in_every_way(
    budget: Budget, expected: dict[str, str], folder: Path, cache: Path
) -> Iterator[tuple[str, list[str]]]:
    """Yield each way of stopping, and what was wrong with the run after it."""
    for way, signals in WAYS.items():
        path = folder / way.replace(" ", "-")
        yield way, [*_ask(budget, path, cache, signals), *_go_on(path, cache, expected)]
    path = folder / "closed-terminal"
    yield "closed terminal", [*_close_terminal(budget, path, cache), *_go_on(path, cache, expected)]
    path = folder / "two-at-once"
    yield "two at once", [*_train_twice(budget, path, cache), *_go_on(path, cache, expected)]


def _has_reported(path: Path) -> bool:
    metrics = RunDirectory(path).metrics_file
    return metrics.is_file() and metrics.stat().st_size > 0


def _ask(budget: Budget, path: Path, cache: Path, signals: tuple[signal.Signals, ...]) -> Iterator[str]:
    with Command(budget.arguments(path, cache)) as command:
        command.wait_until(lambda: _has_reported(path))
        for number in signals:
            command.send(number)
            time.sleep(0.01)  # two signals of a kind that are both pending count as one
        status, said = command.result()
    how_to_go_on = f"go on with: python -m training train --resume {path}"
    saved = "saved after" in said
    if status != _INTERRUPTED or how_to_go_on not in said or "Traceback" in said or not saved:
        yield f"exit status {status}, said:\n{said}"


def _go_on(path: Path, cache: Path, expected: dict[str, str]) -> Iterator[str]:
    carry_out(to_go_on(path, cache))
    if differing := differences(expected, evidence(path)):
        yield f"not as in the untouched run: {differing[:5]}"


def _close_terminal(budget: Budget, path: Path, cache: Path) -> Iterator[str]:
    """Train on a terminal of its own, whose window is closed."""
    setsid = shutil.which("setsid")
    if setsid is None:
        yield "there is no setsid"
        return
    master, slave = os.openpty()
    os.set_blocking(master, False)
    process = subprocess.Popen(
        [setsid, "--ctty", sys.executable, "-m", "training", *budget.arguments(path, cache)],
        cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(slave)
    patience = time.monotonic() + PATIENCE_S
    while not _has_reported(path) and process.poll() is None and time.monotonic() < patience:
        _drain(master)
        time.sleep(0.01)
    os.close(master)
    status = process.wait(PATIENCE_S)
    if status != _INTERRUPTED:
        yield f"exit status {status}"


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # nothing to read now, or nobody at the other end
        return


def _train_twice(budget: Budget, path: Path, cache: Path) -> Iterator[str]:
    """Go on with a run that is being trained, and begin it once more; then kill the one that trains it."""
    with Command(budget.arguments(path, cache)) as first:
        first.wait_until(lambda: _has_reported(path))
        first.send(signal.SIGSTOP)  # it holds the run for as long as the others take to start
        holder = f"is being trained by process {first.process.pid}"
        for arguments in (to_go_on(path, cache), budget.arguments(path, cache)):
            with Command(arguments) as second:
                status, said = second.result()
            if status != 1 or holder not in said or "Traceback" in said:
                yield f"exit status {status}, said:\n{said}"
        first.send(signal.SIGKILL)
