"""How fast a GPU trains, how much the trainer costs there, and whether bf16 is as good as float32.

Speed: images per second of `default` and `dcgan` by the trainer, in float32 with channels first, in float32
with channels last (what the trainer chooses), and in bf16, beside a plain loop in float32; all in turns.
Quality: `default` trained in float32 and in bf16 from the same seeds and judged as `evaluate` judges.

    .venv/bin/python -m bench.gpu.training                          # about a quarter of an hour
    .venv/bin/python -m bench.gpu.training --device cpu --quick     # that all of it runs: a minute
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bench.plain_loops import PlainLoop, require_as_written
from bench.training_overhead import RESULTS, step_of, training, turn
from training.data import Dataset, load_dataset
from training.evaluation import Request, evaluate
from training.placement import place
from training.recipes import recipe_named

_WARM_UP_STEPS = 20
_FORMATS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
_TRAINERS = (("float32", "channels first"), ("float32", "channels last"), ("bf16", "channels last"))


@dataclass(frozen=True)
class Amounts:
    """How much is measured."""

    data: str
    turns: int
    images: int
    kimg: float
    seeds: int


FULL = Amounts(data="mnist5k", turns=7, images=20_000, kimg=300.0, seeds=3)
QUICK = Amounts(data="digits", turns=2, images=64, kimg=1.0, seeds=1)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def speeds(recipe: str, dataset: Dataset, device: torch.device, amounts: Amounts) -> dict[str, float]:
    """Return images per second by the clock, the median of the turns, of each way to train a recipe."""
    require_as_written(recipe_named(recipe))
    with ExitStack() as open_:
        ways: dict[str, Callable[[], int]] = {}
        for precision, lying in _TRAINERS:
            # What the trainer would choose is overruled, so that each way is seen.
            with patch("training.trainer.memory_format_of", lambda _output, lying=lying: _FORMATS[lying]):
                trainer = open_.enter_context(training(recipe, dataset, device, f"precision={precision}"))
            monitor = open_.enter_context(trainer.monitor())
            ways[f"trainer, {precision}, {lying}"] = step_of(trainer, monitor)
        plain = PlainLoop(trainer.recipe, trainer.spec, dataset, device, torch.channels_last).play()
        ways["plain loop, float32, channels last"] = lambda: next(plain)
        for step in ways.values():
            turn(step, _WARM_UP_STEPS * trainer.recipe.batch_size)
        turns: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(amounts.turns):
            for way, step in ways.items():
                turns[way].append(turn(step, amounts.images, lambda: synchronize(device)).wall_s)
    return {way: 1.0 / statistics.median(spent) for way, spent in turns.items()}


def quality(
    dataset: Dataset, device: torch.device, amounts: Amounts, cache: Path
) -> dict[str, list[dict[str, float]]]:
    """Return the judgement of ``default`` for each precision, a row for each seed; real data's row too."""
    found: dict[str, list[dict[str, float]]] = {"float32": [], "bf16": []}
    rows: dict[str, Any] = {}
    for precision, judged in found.items():
        for seed in range(amounts.seeds):
            settings = (f"precision={precision}", f"total_kimg={amounts.kimg}")
            with training("default", dataset, device, *settings, seed=seed) as trainer:
                trainer.train()
                rows = evaluate(trainer.sampler, dataset, cache, Request(cas="no")).facts.rows
            judged.append(rows["generated"])
    return {**found, "real": [rows["real"]]}


def show(speed: dict[str, dict[str, float]], judged: dict[str, list[dict[str, float]]]) -> None:
    """Print both tables."""
    print("| recipe | way | img / s | × plain loop |\n|---|---|---|---|")
    for recipe, ways in speed.items():
        plain = ways["plain loop, float32, channels last"]
        for way, rate in ways.items():
            print(f"| {recipe} | {way} | {rate:,.0f} | {rate / plain:.2f} |")
    shared = [name for name in judged["real"][0] if name in judged["float32"][0]]
    print("\n| default | " + " | ".join(shared) + " |\n|---|" + "---|" * len(shared))
    for kind, rows in judged.items():
        medians = [statistics.median(row[name] for row in rows) for name in shared]
        print(f"| {kind} | " + " | ".join(f"{one:.3f}" for one in medians) + " |")


def main() -> None:
    """Measure everything; write the figures to ``bench/results/``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="as little of everything as shows that it runs")
    parser.add_argument("--cache", type=Path, default=Path(".cache/forger"))
    arguments = parser.parse_args()
    device = place(arguments.device, arguments.threads)
    amounts = QUICK if arguments.quick else FULL
    dataset = load_dataset(amounts.data, arguments.cache)
    speed = {recipe: speeds(recipe, dataset, device, amounts) for recipe in ("default", "dcgan")}
    judged = quality(dataset, device, amounts, arguments.cache)
    show(speed, judged)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
    facts = {
        "device": name,
        "torch": torch.__version__,
        "amounts": asdict(amounts),
        "images_per_s": speed,
        "judged": judged,
    }
    slug = "-".join(re.findall(r"[a-z0-9]+", name.lower())) + ("-quick" if arguments.quick else "")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"gpu-training-{slug}.json"
    path.write_text(json.dumps(facts, indent=1) + "\n")
    print(f"\n{path}")


if __name__ == "__main__":
    main()
