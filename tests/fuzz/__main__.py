"""``python -m tests.fuzz``: a long campaign against a server of its own, over the shipped models."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.fakes.server import ROOT, ServerProcess
from tests.fuzz.campaign import Effort, Report, carry_out

_EXAMPLES, _DRAWING_EXAMPLES = 100, 600


def main() -> int:
    """Return 0 if every answer was one that the document allows."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="how many at least (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="for how long at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which requests (%(default)s)")
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="a directory of models")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    begun, report = time.monotonic(), Report()
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(Path(folder) / "home", models_dir=asked.models) as server,
    ):
        seed = asked.seed
        while report.requests < asked.requests and time.monotonic() - begun < asked.seconds:
            effort = Effort(
                examples=_EXAMPLES,
                drawing_examples=_DRAWING_EXAMPLES,
                seconds=asked.seconds - (time.monotonic() - begun),
                requests=asked.requests,
                systematic=seed == asked.seed,
            )
            carry_out(server.url, seed, effort, report)
            print(f"seed {seed}: {report.requests} requests, {time.monotonic() - begun:.0f} s", flush=True)
            seed += 1
        sound = report.is_sound and server.process.poll() is None
    print("\n".join(report.lines()))
    verdict = "every answer is in the document" if sound else "there are faults"
    print(f"{report.requests} requests in {time.monotonic() - begun:.0f} s: {verdict}")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
