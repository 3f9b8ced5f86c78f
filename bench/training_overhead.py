"""What the trainer's services cost: its images per second beside a plain loop for the same networks.

Both train the same recipe on the same data, in turns of a few steps within one process, so that whatever else
the machine does falls on both alike. Medians of the turns, by CPU time (of all threads) and by the clock; the
overhead is the median of the pairs' ratios. What the trainer does only now and then (checks of the doctor,
grids, checkpoints) is timed by itself and spread over the images between.

    .venv/bin/python -m bench.training_overhead
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from bench.plain_loops import PlainLoop, require_as_written
from bench.trainers import NEVER_KIMG, trainer_of
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.monitor import Monitor
from training.placement import memory_format_of
from training.recipe_config import override
from training.recipes import recipe_named
from training.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
_WARM_UP_STEPS = 5


@dataclass(frozen=True)
class Turn:
    """A few steps of one side, per real image."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Row:
    """A recipe with some threads, both ways. Rates are images per second; overheads are shares."""

    recipe: str
    threads: int
    plain_per_cpu_s: float
    trainer_per_cpu_s: float
    plain_per_wall_s: float
    trainer_per_wall_s: float
    step_overhead: float
    """Of a step with its figures and reports, by CPU time."""
    occasional_overhead: float
    """Of checks, grids and checkpoints, spread over the images between them, by CPU time."""
    turns: int

    @property
    def overhead(self) -> float:
        """All that the trainer costs beyond the plain loop, as a share of it."""
        return self.step_overhead + self.occasional_overhead


def turn(step: Callable[[], int], images: int, settle: Callable[[], object] = lambda: None) -> Turn:
    """Time steps until at least so many images were seen; ``settle`` waits for what a device still does."""
    settle()
    cpu, wall, seen = time.process_time(), time.perf_counter(), 0
    while seen < images:
        seen += step()
    settle()
    return Turn((time.process_time() - cpu) / seen, (time.perf_counter() - wall) / seen)


@contextmanager
def training(
    recipe: str, dataset: Dataset, device: torch.device, *settings: str, seed: int = 0
) -> Iterator[Trainer]:
    """Yield a trainer with a run directory of its own; only its reports come due by themselves."""
    with trainer_of(
        override(recipe_named(recipe), list(settings)),
        dataset,
        device,
        seed=seed,
        sample_every_kimg=NEVER_KIMG,
        checkpoint_every_kimg=NEVER_KIMG,
        doctor_every_kimg=NEVER_KIMG,
    ) as trainer:
        yield trainer


def step_of(trainer: Trainer, monitor: Monitor) -> Callable[[], int]:
    """Return the trainer's step; it returns how many images it saw."""

    def step() -> int:
        before = trainer.state.images_seen
        trainer.turn()
        trainer.keep_up(monitor, before)
        return trainer.state.images_seen - before

    return step


def occasional_s(trainer: Trainer, monitor: Monitor) -> float:
    """Return the CPU seconds for each image of what is done now and then, by the default intervals."""
    usual = RunConfig(recipe=trainer.recipe, data="", dataset_digest="")
    acts: list[tuple[Callable[[], object], float]] = [
        (lambda: trainer.care.look(monitor), usual.check_every_kimg),
        (lambda: monitor.sample(trainer.state.images_seen, trainer.sampler), usual.sample_every_kimg),
        (lambda: trainer.save(monitor), usual.checkpoint_every_kimg),
    ]
    total = 0.0
    for act, every_kimg in acts:
        act()  # the first time makes what is kept
        spent = []
        for _ in range(3):
            begun = time.process_time()
            act()
            spent.append(time.process_time() - begun)
        total += statistics.median(spent) / (every_kimg * 1000)
    return total


def measure(recipe: str, dataset: Dataset, threads: int, turns: int, images: int) -> Row:
    """Play both sides in turns and compare them."""
    torch.set_num_threads(threads)
    device = torch.device("cpu")
    require_as_written(recipe_named(recipe))
    with (
        training(recipe, dataset, device) as trainer,
        trainer.monitor() as monitor,
    ):
        plain = PlainLoop(
            trainer.recipe, trainer.spec, dataset, device, memory_format_of(dataset.output)
        ).play()
        steps = (lambda: next(plain), step_of(trainer, monitor))
        for step in steps:
            turn(step, _WARM_UP_STEPS * trainer.recipe.batch_size)
        # Each goes first as often as the other.
        pairs = [
            tuple(turn(step, images) for step in steps)
            if number % 2
            else tuple(turn(step, images) for step in steps[::-1])[::-1]
            for number in range(turns)
        ]
        occasional = occasional_s(trainer, monitor)
    plain_cpu_s = statistics.median(one.cpu_s for one, _ in pairs)
    return Row(
        recipe=recipe,
        threads=threads,
        plain_per_cpu_s=1.0 / plain_cpu_s,
        trainer_per_cpu_s=1.0 / statistics.median(other.cpu_s for _, other in pairs),
        plain_per_wall_s=1.0 / statistics.median(one.wall_s for one, _ in pairs),
        trainer_per_wall_s=1.0 / statistics.median(other.wall_s for _, other in pairs),
        step_overhead=statistics.median(other.cpu_s / one.cpu_s for one, other in pairs) - 1.0,
        occasional_overhead=occasional / plain_cpu_s,
        turns=turns,
    )


def main() -> None:
    """Measure both recipes with one thread and with two; write the figures to ``bench/results/``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="mnist5k")
    parser.add_argument("--turns", type=int, default=15, help="pairs of turns")
    parser.add_argument("--images", type=int, default=512, help="images of a turn")
    parser.add_argument("--cache", type=Path, default=Path(".cache/forger"))
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data, arguments.cache)
    print("| recipe | threads | plain, img / CPU s | trainer | plain, img / s | trainer | overhead |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for recipe in ("default", "dcgan"):
        for threads in (1, 2):
            row = measure(recipe, dataset, threads, arguments.turns, arguments.images)
            rows.append({**asdict(row), "overhead": row.overhead})
            rates = (
                row.plain_per_cpu_s, row.trainer_per_cpu_s, row.plain_per_wall_s, row.trainer_per_wall_s,
            )  # fmt: skip
            shown = " | ".join(f"{rate:.0f}" for rate in rates)
            print(f"| {recipe} | {threads} | {shown} | {row.overhead:+.1%} |", flush=True)
    facts = {"data": arguments.data, "torch": torch.__version__, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training-overhead.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
