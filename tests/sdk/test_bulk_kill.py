"""Runs that are killed with -9, at file operations drawn at random and from outside: what is left goes on."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forger import verify
from tests.fakes.server import ROOT, ServerProcess, environment
from tests.sdk.places import SINKS, place_in, sink_in, snapshot

pytestmark = pytest.mark.slow

N = 330  # six segments
KILLS = 4


def begin(server: ServerProcess, sink: str, home: Path, at: int = 0, n: int = N) -> subprocess.Popen[str]:
    """Start ``forger bulk --resume``, to be killed at an operation."""
    job = ["bulk", "-n", str(n), "--seed", "5", "--class", "random", "--resume", "--sink", sink]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sdk.killed", str(at), "--url", server.url, *job],
        cwd=ROOT, env=environment(home) | {"PYTHONPATH": "sdk/src"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = process.communicate(timeout=120)
    return process.returncode, told


@pytest.mark.parametrize("kind", SINKS)
def test_killed_anywhere_and_begun_again_it_leaves_the_same_bytes(
    kind: str, server: ServerProcess, tmp_path: Path
) -> None:
    """The last operations, in which all is put together, are killed too."""
    status, told = finish(begin(server, sink_in(kind, tmp_path / "whole"), tmp_path / "home"))
    assert status == 0, told
    found = re.search(r"operations: (\d+)", told)
    assert found is not None
    operations = int(found[1])
    drawn = random.Random(kind)
    moments = [drawn.randint(1, operations) for _ in range(KILLS - 1)] + [operations - drawn.randint(0, 9)]
    sink, killed = sink_in(kind, tmp_path / "killed"), 0
    for at in moments:
        status, told = finish(begin(server, sink, tmp_path / "home", at))
        assert status in (0, -signal.SIGKILL), told
        killed += status != 0
    assert killed >= 1
    # A kill at one of the last moments of a run that is nearly done must be seen too, from the beginning.
    late = sink_in(kind, tmp_path / "late")
    assert finish(begin(server, late, tmp_path / "home", moments[-1]))[0] == -signal.SIGKILL
    for begun in (sink, late):
        status, told = finish(begin(server, begun, tmp_path / "home"))
        assert status == 0, told
    whole = snapshot(tmp_path / "whole")
    assert snapshot(tmp_path / "killed") == whole
    assert snapshot(tmp_path / "late") == whole
    assert verify(place_in(kind, tmp_path / "killed")).is_sound


def test_killed_from_outside_while_it_draws(server: ServerProcess, tmp_path: Path) -> None:
    """As an operator kills: whenever some more files have come, three times."""
    n, drawn, out = 1500, random.Random(1), tmp_path / "killed"
    sink = sink_in("wds", out)
    kills = 0
    for _ in range(3):
        process = begin(server, sink, tmp_path / "home", n=n)
        enough = len(snapshot(out)) + drawn.randint(1, 6)
        patience = time.monotonic() + 60
        while process.poll() is None and len(list(out.rglob("*"))) < enough and time.monotonic() < patience:
            time.sleep(0.002)
        process.kill()
        kills += finish(process)[0] == -signal.SIGKILL
    assert kills >= 1
    assert finish(begin(server, sink, tmp_path / "home", n=n))[0] == 0
    assert finish(begin(server, sink_in("wds", tmp_path / "whole"), tmp_path / "home", n=n))[0] == 0
    assert snapshot(out) == snapshot(tmp_path / "whole")


def test_ctrl_c_ends_it_in_order(server: ServerProcess, tmp_path: Path) -> None:
    """With the status that shells know, without a trace, and it goes on like any other."""
    sink, out = sink_in("npz", tmp_path / "out"), tmp_path / "out"
    process = begin(server, sink, tmp_path / "home", n=20_000)
    patience = time.monotonic() + 60
    while not list(out.rglob("*.rows")) and time.monotonic() < patience:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    status, told = finish(process)
    assert status == 130, told
    assert "Traceback" not in told
    assert list(out.rglob("*.rows"))
    assert not list(out.rglob("*.partial"))
