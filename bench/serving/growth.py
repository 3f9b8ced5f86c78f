"""How costs grow: with the images of a request, the latent's dimension, the models served, the connections.

Each curve is in units of its own first point, so that machines can be compared; a chart of each goes to
``docs/performance/``.

    .venv/bin/python -m bench.serving.growth
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.serving.load import Workload, load, require_wrk
from bench.serving.machine import resident_mib, wait_until_quiet
from bench.serving.models import make_model, make_models
from bench.serving.servers import CACHE, JSON, ONE, Server, forger

mpl.use("svg")

RESULTS = Path(__file__).parent.parent / "results" / "serving-growth.json"
CHARTS = Path("docs/performance")
_MODEL = "bench-mnist"
_ARRAY = (JSON, "Accept: application/x-npy")
_REPEATS = 3

Curve = dict[str, list[float]]


def _measured(running: Server, work: Workload, connections: int) -> dict[str, float]:
    """Return the medians of a few measurements."""
    load(running.url, work, connections, 1)
    rows = []
    for _ in range(_REPEATS):
        wait_until_quiet([running.pid, os.getpid()])
        rows.append(load(running.url, work, connections, 3))
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _array(model: str, images: int) -> Workload:
    return Workload("/generate", f'{{"model":"{model}","n":{images},"seed":%SEED%}}', images, _ARRAY)


def images_a_request(file: Path) -> Curve:
    """Milliseconds an image, of requests for 1 to 4,096 as an array."""
    contender = replace(forger(_MODEL), environment={"FORGER_MAX_IMAGES": "4096"})
    counts = [1, 4, 16, 64, 256, 1024, 4096]
    with Server(contender, file, file.parents[2], CACHE) as running:
        cost = [1000 / _measured(running, _array(_MODEL, count), 1)["images_per_s"] for count in counts]
    return {"images": [float(count) for count in counts], "ms an image": cost}


def latent_dimensions() -> Curve:
    """Milliseconds a request of 64 images, of generators whose latents have 64 to 512 dimensions."""
    dims, cost = [64, 128, 256, 512], []
    with tempfile.TemporaryDirectory() as folder:
        files = {dim: make_model(Path(folder), _MODEL, f"latent-{dim}", dim) for dim in dims}
        contender = replace(forger("latent-64"), environment={"FORGER_DEFAULT_MODEL": "latent-64"})
        with Server(contender, files[64], Path(folder), CACHE) as running:
            cost = [_measured(running, _array(f"latent-{dim}", 64), 1)["p50_ms"] for dim in dims]
    return {"dimensions": [float(dim) for dim in dims], "p50, ms": cost}


def models_served() -> Curve:
    """Latency of one image and resident memory, with 1 to 20 models that 8 connections ask for in turns."""
    counts, latency, memory = [1, 2, 5, 10, 20], [], []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            names = [f"model-{number}" for number in range(count)]
            files = [make_model(Path(folder), _MODEL, name) for name in names]
            bodies = "\n".join(f'{{"model":"{name}","seed":%SEED%}}' for name in names)
            contender = replace(forger(names[0]), environment={"FORGER_DEFAULT_MODEL": names[0]})
            with Server(contender, files[0], Path(folder), CACHE) as running:
                latency.append(_measured(running, Workload("/generate", bodies, 1), 8)["p50_ms"])
                memory.append(resident_mib(running.pid))
    return {"models": [float(count) for count in counts], "p50, ms": latency, "resident, MiB": memory}


def connections(file: Path) -> Curve:
    """Images a second and latencies, with 1 to 256 connections that ask for one image each."""
    counts, rows = [1, 4, 16, 64, 256], []
    with Server(forger(_MODEL), file, file.parents[2], CACHE) as running:
        rows = [_measured(running, running.contender.works[ONE], count) for count in counts]
    return {
        "connections": [float(count) for count in counts],
        "images/s": [row["images_per_s"] for row in rows],
        "p50, ms": [row["p50_ms"] for row in rows],
        "p99, ms": [row["p99_ms"] for row in rows],
    }


def chart(name: str, curve: Curve) -> None:
    """Draw a curve's quantities, each in units of its first value, over the quantity that grows."""
    (grown, places), *others = curve.items()
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for quantity, values in others:
        axes.plot(
            places,
            [value / values[0] for value in values],
            marker="o",
            label=f"{quantity}: {values[0]:.3g} × …",
        )
    axes.set_xscale("log", base=2)
    axes.set_xlabel(grown)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    CHARTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(CHARTS / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Measure what is asked for, or all; add the curves to ``bench/results/`` and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    file = make_models(CACHE / "models")[_MODEL]
    curves: dict[str, Callable[[], Curve]] = {
        "images": lambda: images_a_request(file),
        "latent": latent_dimensions,
        "models": models_served,
        "connections": lambda: connections(file),
    }
    parser.add_argument("curve", nargs="*", choices=[*curves, []], help="which (all)")
    chosen = parser.parse_args().curve or list(curves)
    require_wrk()
    measured = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in chosen:
        measured[name] = curves[name]()
        print(name, json.dumps(measured[name]), flush=True)
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
        chart(name, measured[name])


if __name__ == "__main__":
    main()
