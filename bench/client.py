"""What the client costs: a bulk run beside ``wrk`` on the same server, CPU an image, and 100,000 in one run.

    .venv/bin/python -m bench.client                        # a quarter of an hour
    .venv/bin/python -m bench.client --repeats 1 --many 10000 --sinks npz

*rate* is what a bulk run into ``npz`` draws, as a share of what ``wrk`` is given by the same server for the
same requests over as many connections: both on this machine, in turns, each when it is quiet; what counts is
the median of the ratios. *CPU an image* is that of the client's process, threads and all, and of its files.
*many* is one run into ``npz``: its rate, and the most memory that its process ever had.

A bulk run adapts how many requests are under way; ``wrk`` has as many connections as it may have at most.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.serving.load import Workload, load, require_wrk
from bench.serving.machine import wait_until_quiet
from bench.serving.servers import CACHE, JSON, ROOT, Server, forger
from training.provenance import begun_with

RESULTS = Path(__file__).parent / "results/client.json"
PLACE = CACHE / "client"
SINKS = {
    "npz": "npz:{}/out.npz",
    "folder": "folder:{}/out",
    "wds": "wds:{}/out/%05d.tar",
    "parquet": "parquet:{}/out",
    "zip": "zip:{}/out.zip",
}
_MODEL = "mnist"
_CHUNK = 64

# What is measured, in a process of its own: so that its CPU time and its memory are the client's alone.
_RUN = """
import json, resource, sys, time
from forger import Client
url, n, concurrency, sink = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with Client(url) as client:
    client.model("mnist")
    cpu, rss = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = client.bulk(n, sink=sink, seed=0, model="mnist", concurrency=concurrency, progress=False)
    assert report.is_complete
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "images_per_s": n / report.seconds,
        "cpu_us_per_image": (time.process_time() - cpu) / n * 1e6,
        "peak_mib": used.ru_maxrss / 1024,
        "peak_mib_before": rss / 1024,
    }))
"""


def bulk(server: Server, sink: str, n: int, concurrency: int) -> dict[str, float]:
    """Draw ``n`` images into a sink, in a process of its own; return its figures."""
    wait_until_quiet([server.pid, os.getpid()])
    with _empty_folder() as folder:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", _RUN, server.url, str(n), str(concurrency), SINKS[sink].format(folder)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "sdk/src")},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"the bulk run failed: {done.stderr[-1000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def wrk(server: Server, seconds: float, connections: int, first_seed: int) -> float:
    """Return the images a second that ``wrk`` is given, asking as a bulk run into ``npz`` does."""
    wait_until_quiet([server.pid, os.getpid()])
    body = f'{{"model":"{_MODEL}:1","seed":%SEED%,"index":0,"n":{_CHUNK}}}'
    work = Workload("/generate", body, _CHUNK, (JSON, "Accept: application/x-npy"))
    figures = load(server.url, work, connections, seconds, first_seed)
    if figures["errors"]:
        raise RuntimeError(f"wrk met {figures['errors']} errors")
    return float(figures["images_per_s"])


def rate(server: Server, given: argparse.Namespace) -> dict[str, Any]:
    """Compare the two, in turns."""
    wrk(server, 1, given.concurrency, 1)  # warms up
    rows = []
    for repeat in range(given.repeats):
        plain = wrk(server, given.seconds, given.concurrency, 1000 * (repeat + 1))
        n = max(_CHUNK, round(plain * given.seconds / _CHUNK) * _CHUNK)
        figures = bulk(server, "npz", n, given.concurrency)
        rows.append({"wrk": plain, "bulk": figures["images_per_s"], "ratio": figures["images_per_s"] / plain})
        print(f"wrk {plain:,.0f} images/s, bulk {rows[-1]['bulk']:,.0f}: {rows[-1]['ratio']:.3f}", flush=True)
    return {"median_ratio": statistics.median(row["ratio"] for row in rows), "repeats": rows}


def sinks(server: Server, given: argparse.Namespace) -> dict[str, Any]:
    """Return the median of the figures of each sink."""
    found = {}
    for sink in given.sinks:
        rows = [bulk(server, sink, given.images, given.concurrency) for _ in range(given.repeats)]
        found[sink] = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        told = found[sink]
        cost, speed = told["cpu_us_per_image"], told["images_per_s"]
        print(f"{sink}: {cost:.0f} us of CPU an image, {speed:,.0f} images/s")
    return found


def many(server: Server, given: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one long run."""
    figures = bulk(server, "npz", given.many, given.concurrency)
    speed, peak = figures["images_per_s"], figures["peak_mib"]
    print(f"{given.many:,} images: {speed:,.0f} images/s, at most {peak:.0f} MiB")
    return {"images": given.many, **figures}


@contextmanager
def _empty_folder() -> Iterator[Path]:
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    try:
        yield PLACE.resolve()
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)


def main() -> None:
    """Measure what is asked for, and write it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of the rate (10)")
    parser.add_argument("--concurrency", type=int, default=8, help="connections, and requests at once (8)")
    parser.add_argument("--images", type=int, default=12_800, help="of each run into a sink (12,800)")
    parser.add_argument("--many", type=int, default=100_000, help="images of the long run (100,000)")
    parser.add_argument("--sinks", nargs="+", choices=SINKS, default=[*SINKS])
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    require_wrk()
    models = ROOT / "models"
    with Server(forger(_MODEL), models / _MODEL / "1/generator.onnx", models, CACHE) as server:
        measured = {"rate": rate(server, given), "sinks": sinks(server, given), "many": many(server, given)}
    options = {name: value for name, value in vars(given).items() if name != "output"}
    document = {"begun_with": begun_with().model_dump(), "options": options, **measured}
    given.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
