"""``make chaos ARGS="training ..."``: recipes killed, damaged and interrupted, and none ends otherwise."""

from __future__ import annotations

import argparse
import random
import secrets
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.command import Budget
from tests.chaos.disk import fill_disks, why_not
from tests.chaos.siege import Outcome, besiege, untouched
from tests.chaos.signals import stop_in_every_way
from training.recipes import RECIPES

_RECIPE_OF_SIGNALS = "vanilla"
_RECIPE_OF_DISKS = "dcgan"
_PARTS = ("kills", "signals", "disk")


def main(arguments: Sequence[str]) -> int:
    """Return 0 if every run ended as if nothing had happened to it."""
    asked = _arguments(arguments)
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


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the moments (random)")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES), help="which recipes")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, help="what is done (all)")
    parser.add_argument("--kills", type=int, default=5, help="of each recipe (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no recipe later (%(default)s)")
    return parser.parse_args(arguments)


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
