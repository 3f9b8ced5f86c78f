"""What is asked of a server, and how much of it: one thread of wrk, which costs little beside any server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Workload:
    """A request that is sent over and over, with another seed each time: ``%SEED%`` in the body.

    Several bodies, one a line, are sent in turns.
    """

    path: str
    body: str
    images: int
    headers: tuple[str, ...] = ("Content-Type: application/json",)


def require_wrk() -> None:
    """End with a sentence if the load generator is not there."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed to make the load: apt-get install wrk, or brew install wrk")


def load(url: str, work: Workload, connections: int, seconds: float, first_seed: int = 1) -> dict[str, Any]:
    """Send the workload over so many connections; return what came of it, times in milliseconds."""
    environment = {
        **os.environ,
        "LOAD_PATH": work.path,
        "LOAD_BODY": work.body,
        "LOAD_HEADERS": "\n".join(work.headers),
        "LOAD_FIRST_SEED": str(first_seed),
    }
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "20s",
        "--latency",
    ]
    before = os.times()
    done = subprocess.run(
        [*command, "-s", str(_SCRIPT), url], env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOAD ")]
    if not lines:
        raise RuntimeError(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    after = os.times()
    figures: dict[str, Any] = json.loads(lines[0].removeprefix("LOAD "))
    figures["client_cpu_s"] = sum(after[2:4]) - sum(before[2:4])
    figures["errors"] = figures["wrong_status"] + figures["broken"] + figures["timed_out"]
    figures["images_per_s"] = (
        work.images * (figures["requests"] - figures["wrong_status"]) / figures["seconds"]
    )
    return figures


def post(url: str, work: Workload, timeout: float = 30.0) -> bytes:
    """Send the workload once; return the answer's body, or raise what went wrong."""
    headers = dict(line.split(": ", 1) for line in work.headers)
    body = work.body.partition("\n")[0].replace("%SEED%", "7")
    request = urllib.request.Request(url + work.path, body.encode(), headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - the same
        return bytes(answer.read())
