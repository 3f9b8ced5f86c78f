"""How long one image takes while somebody else asks for 64 at a time: nobody may be stuck behind many.

The p99 of requests for one image on one connection, beside another client's requests for 64, in units of the
p50 of the same requests when they are alone. Four is asked.

    .venv/bin/python -m bench.serving.neighbours
"""

from __future__ import annotations

import json
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.serving.load import load, require_wrk
from bench.serving.machine import wait_until_quiet
from bench.serving.models import make_models
from bench.serving.servers import CACHE, MANY, ONE, Server, forger

RESULTS = Path(__file__).parent.parent / "results" / "serving-neighbours.json"
_REPEATS = 5
_SECONDS = 4


def measure(running: Server) -> dict[str, Any]:
    """Return the latencies, alone and beside a neighbour, and what the neighbour got in the meantime."""
    one, many = running.contender.works[ONE], running.contender.works[MANY]
    load(running.url, one, 1, 1)
    rows = []
    for _ in range(_REPEATS):
        wait_until_quiet([running.pid, os.getpid()])
        alone = load(running.url, one, 1, _SECONDS)
        undisturbed = load(running.url, many, 1, _SECONDS)
        with ThreadPoolExecutor(1) as pool:
            neighbour = pool.submit(load, running.url, many, 1, _SECONDS)
            beside = load(running.url, one, 1, _SECONDS)
        rows.append(
            {
                "p50_alone_ms": alone["p50_ms"],
                "p50_ms": beside["p50_ms"],
                "p99_ms": beside["p99_ms"],
                "ratio": beside["p99_ms"] / alone["p50_ms"],
                "neighbour": neighbour.result()["images_per_s"] / undisturbed["images_per_s"],
                "errors": beside["errors"] + neighbour.result()["errors"],
            }
        )
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}


def main() -> None:
    """Measure both generators; write the figures to ``bench/results/``."""
    require_wrk()
    models = make_models(CACHE / "models")
    figures = {}
    print(
        "| model | p50 alone, ms | p50 beside | p99 beside | p99 / p50 alone | the neighbour keeps | errors |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, file in models.items():
        with Server(forger(name), file, file.parents[2], CACHE) as running:
            figures[name] = row = measure(running)
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |", flush=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
