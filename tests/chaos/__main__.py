"""``make chaos``: every recipe killed, damaged and interrupted, and none that ends otherwise for it.

``make chaos ARGS=models`` loads mutated model directories instead, and none ends the process;
``make chaos ARGS=swaps`` swaps models under load.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import files, swaps
from tests.chaos.command import Budget
from tests.chaos.disk import fill_disks, why_not
from tests.chaos.siege import Outcome, besiege, untouched
from tests.chaos.signals import stop_in_every_way
from training.recipes import RECIPES

_RECIPE_OF_SIGNALS = "vanilla"
_RECIPE_OF_DISKS = "dcgan"
_PARTS = ("kills", "signals", "disk")


def main() -> int:
    """Return 0 if nothing was lost and nothing fell."""
    if sys.argv[1:2] == ["models"]:
        return _models(sys.argv[2:])
    if sys.argv[1:2] == ["swaps"]:
        return _swaps(sys.argv[2:])
    return _training()


def _models(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=models", description=files.__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="mutated directories (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="of the mutations (random)"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="children at a time (%(default)s)"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path("build/chaos"), help="for what is found (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}", flush=True)
    return 0 if files.campaign(asked.files, asked.seed, asked.jobs, asked.keep) else 1


def _swaps(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=swaps", description=swaps.__doc__)
    parser.add_argument("--swaps", type=int, default=200, help="versions that come and go (%(default)s)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="forger-swaps-") as folder:
        faults = swaps.swap_under_load(asked.swaps, Path(folder))
    for fault in faults[:20]:
        print(fault)
    return 1 if faults else 0


def _training() -> int:
    asked = _arguments()
    # Begun in the background or under nohup, it would pass signals that are ignored on to what it begins.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    print(f"seed {asked.seed}: ARGS='--seed {asked.seed}' tries the same again, as far as clocks allow")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="forger-chaos-") as name:
        folder = Path(name)
        cache = folder / "cache"
        parts = {"kills": _kills, "signals": _signals, "disk": _disks}
        results = [parts[part](asked, folder, cache) for part in _PARTS if part in asked.parts]
    sound = all(results)
    print(f"{time.monotonic() - begun:,.0f} s: {'nothing was lost' if sound else 'THERE ARE FAULTS'}")
    return 0 if sound else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the moments (random)")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES), help="which recipes")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, help="what is done (all)")
    parser.add_argument("--kills", type=int, default=5, help="of each recipe (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no recipe later (%(default)s)")
    return parser.parse_args()


def _kills(asked: argparse.Namespace, folder: Path, cache: Path) -> bool:
    print(f"{'recipe':16} {'compared':>8} {'seconds':>7}  verdict  killed")
    begun, sound = time.monotonic(), True
    for recipe in asked.only:
        if time.monotonic() - begun > asked.seconds:
            print(f"{recipe:16} not begun: --seconds are over")
            sound = False
            continue
        # Of its own for each recipe, so that --only repeats what happened among the others.
        chance = random.Random(f"{asked.seed} {recipe}")
        budget = Budget(recipe)
        outcome = besiege(budget, untouched(budget, folder, cache), folder, cache, chance, asked.kills)
        sound = sound and not outcome.differing
        print(_row(outcome), flush=True)
    return sound


def _row(outcome: Outcome) -> str:
    verdict = "same" if not outcome.differing else f"NOT THE SAME: {', '.join(outcome.differing[:5])}"
    deaths = ", ".join(outcome.deaths)
    return f"{outcome.recipe:16} {outcome.compared:8} {outcome.seconds:7.0f}  {verdict:7}  {deaths}"


def _signals(_asked: argparse.Namespace, folder: Path, cache: Path) -> bool:
    budget, sound = Budget(_RECIPE_OF_SIGNALS), True
    own = folder / "signals"
    own.mkdir()
    expected = untouched(budget, own, cache)
    for way, faults in stop_in_every_way(budget, expected.evidence, own, cache):
        sound = sound and not faults
        print(f"{way:20} {'; '.join(faults) or 'clean, saved, and the end is the same'}", flush=True)
    return sound


def _disks(_asked: argparse.Namespace, folder: Path, cache: Path) -> bool:
    reason = why_not()
    if reason is not None:
        print(f"full disks: left out, as no small file system can be mounted here ({reason})")
        return True
    print("full disks:", flush=True)
    own = folder / "disk"
    own.mkdir()
    return fill_disks(_RECIPE_OF_DISKS, own, cache) == 0


if __name__ == "__main__":
    sys.exit(main())
