"""A bulk run's memory does not grow with the number of its images: ten times as many need no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.server import ROOT, environment
from tests.sdk.places import SINKS, sink_in

pytestmark = pytest.mark.slow

# Segments of 256, so that both runs hold as much at once as they ever do; and the peak of what Python holds.
PEAK = """
import sys, tracemalloc
from forger import Client
from forger.bulk import job
job._SEGMENT_IMAGES = 256
tracemalloc.start()
with Client(sys.argv[1]) as client:
    client.bulk(int(sys.argv[3]), sink=sys.argv[2], seed=1, class_label="random")
print(tracemalloc.get_traced_memory()[1])
"""


def peak(server: Any, kind: str, n: int, folder: Path) -> int:
    """Return the most bytes that Python held in a process that draws ``n`` images."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, server.url, sink_in(kind, folder / str(n)), str(n)],
        cwd=ROOT, env=environment(folder / "home") | {"PYTHONPATH": "sdk/src"},
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.parametrize("kind", [kind for kind in SINKS if kind != "zip"])
def test_ten_times_as_many_images_need_no_more_memory(kind: str, server: Any, tmp_path: Path) -> None:
    """But for the blocks of a MiB in which files are read for their digests, if they are as long."""
    few, many = (peak(server, kind, n, tmp_path) for n in (640, 6400))
    assert many < few + 2.5 * 2**20, (few, many)


def test_an_archive_needs_a_line_an_image(server: Any, tmp_path: Path) -> None:
    """The directory of a zip file is held while it is made: less than two KiB an image, and nothing else."""
    few, many = (peak(server, "zip", n, tmp_path) for n in (640, 6400))
    assert many - few < 5760 * 2048, (few, many)
