"""Measures Forger and its peers with one load, each figure beside raw ONNX Runtime at the same moment.

    make bench                                              # everything: three quarters of an hour
    .venv/bin/python -m bench.serving --only forger         # Forger alone: five minutes
    .venv/bin/python -m bench.serving --only forger --only fastapi --models bench-mnist --repeats 1

A cell is one workload at one number of connections. It is measured ``--repeats`` times, each when the
machine is quiet, and right after the ceiling. What counts is the median of the ratios. Raw figures are kept
in ``bench/results/serving.json``, the table in ``bench/results/serving.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.serving.ceiling import Ceiling
from bench.serving.load import Workload, load, require_wrk
from bench.serving.machine import busy_s, cpu_s, resident_mib, wait_until_quiet
from bench.serving.models import make_models
from bench.serving.servers import CACHE, MANY, ONE, PEERS_BY_NAME, Contender, Server, forger
from bench.serving.table import table
from training.provenance import begun_with

RESULTS = Path(__file__).parent.parent / "results"
CONNECTIONS = {ONE: (1, 8, 32), MANY: (1, 4)}
_TRIES = 3
_MOST_FOREIGN = 0.06
"""Of the machine, taken by others while a cell is measured: with more, it is measured again."""


class Bench:
    """The measuring of one server after the other."""

    def __init__(self, ceiling: Ceiling, models: dict[str, Path], options: argparse.Namespace) -> None:
        self._ceiling = ceiling
        self._models = models
        self._options = options

    def server(self, contender: Contender, model: str) -> Iterator[dict[str, Any]]:
        """Yield the figures of each cell of a server that draws a model."""
        folder = self._models[model].parents[2]
        with Server(contender, self._models[model], folder, CACHE) as running:
            facts = {"server": contender.name, "model": model, "ready_s": round(running.ready_s, 2)}
            for kind, work in contender.works.items():
                for connections in CONNECTIONS[kind]:
                    load(running.url, work, connections, 1)  # warms up
                    rows = [self._once(running, work, connections) for _ in range(self._options.repeats)]
                    cell = {"workload": kind, "connections": connections, **_median(rows)}
                    yield facts | cell | {"resident_mib": round(resident_mib(running.pid))}

    def _once(self, running: Server, work: Workload, connections: int) -> dict[str, float]:
        own = [running.pid, self._ceiling.pid, os.getpid()]
        rows = 32 if work.images == 1 else work.images
        for _ in range(_TRIES):
            wait_until_quiet(own)
            ceiling = self._ceiling.images_per_s(running.model_file, rows)
            busy, ours = busy_s(), cpu_s(own)
            figures = load(running.url, work, connections, self._options.seconds)
            spent = cpu_s(own) - ours
            foreign = (busy_s() - busy - spent - figures["client_cpu_s"]) / figures["seconds"]
            if foreign < _MOST_FOREIGN * (os.cpu_count() or 1):
                break
        figures |= {
            "ceiling": ceiling,
            "ratio": figures["images_per_s"] / ceiling,
            "server_cores": spent / figures["seconds"],
            "foreign": foreign,
        }
        return figures


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the repeats; errors are added up."""
    figures = {name: round(statistics.median(row[name] for row in rows), 4) for name in rows[0]}
    figures["errors"] = sum(row["errors"] for row in rows)
    figures["ratios"] = [round(row["ratio"], 3) for row in rows]  # type: ignore[assignment]
    return figures


def _wanted(options: argparse.Namespace, model: str) -> list[Contender]:
    everyone = [forger(model), *PEERS_BY_NAME.values()]
    return [one for one in everyone if not options.only or one.name.partition(",")[0] in options.only]


def main() -> None:
    """Measure what is asked for, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = sorted({"forger", *(name.partition(",")[0] for name in PEERS_BY_NAME)})
    parser.add_argument("--only", action="append", choices=names, help="measure this one (can be repeated)")
    parser.add_argument("--models", action="append", choices=("bench-mnist", "bench-dcgan64"))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each cell (%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS / "serving.json")
    options = parser.parse_args()
    require_wrk()
    models = make_models(CACHE / "models")
    cells = []
    with Ceiling(os.cpu_count() or 1) as ceiling:
        bench = Bench(ceiling, models, options)
        for model in options.models or models:
            for contender in _wanted(options, model):
                for cell in bench.server(contender, model):
                    cells.append(cell)
                    print(_line(cell), flush=True)
    begun = begun_with()
    document = {
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "software": begun.library_versions,
        "source_commit": begun.source_commit,
        "cells": cells,
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(document, indent=1) + "\n")
    options.results.with_suffix(".md").write_text(table(cells) + "\n")
    print(f"\n{table(cells)}")


def _line(cell: dict[str, Any]) -> str:
    return (
        f"{cell['server']:20} {cell['model']:14} {cell['workload']:22} c={cell['connections']:<3} "
        f"ratio {cell['ratio']:.3f} {cell['ratios']} p50 {cell['p50_ms']:.2f} p99 {cell['p99_ms']:.2f} ms  "
        f"errors {cell['errors']} ceiling {cell['ceiling']:.0f} cores {cell['server_cores']:.2f} "
        f"foreign {cell['foreign']:.2f} {cell['resident_mib']} MiB ready {cell['ready_s']} s"
    )


if __name__ == "__main__":
    main()
