"""Play the league: every recipe on the same data for the same CPU time; then write its tables.

What was played is kept, and a run that was stopped is gone on with, so that the league can be played in
pieces: Ctrl-C, or ``--for``, at any time.

    make league
    .venv/bin/python -m bench.league --board digits-2min --recipe default --recipe dcgan --for 30
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.league.board import BOARDS, Board
from bench.league.match import Match, Stopped
from bench.league.pace import paces
from bench.league.table import table, write_between

_DOCUMENTS = (Path("README.md"), Path("docs/training.md"))


class League:
    """Plays matches side by side, a core each, until all are played or the time is up."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def play(self, matches: list[Match], workers: int) -> None:
        """Play what is not played yet."""
        with ThreadPoolExecutor(workers) as pool:
            played = [pool.submit(self._one, match) for match in matches]
            try:
                while not all(future.done() for future in played):
                    time.sleep(0.5)
                    if time.monotonic() > self._until:
                        self._stop()
            except KeyboardInterrupt:
                self._until = 0.0
                self._stop()
                raise
            for future in played:
                future.result()

    def _one(self, match: Match) -> None:
        if time.monotonic() > self._until:
            return
        try:
            match.play(self._started)
        except Stopped:
            print(f"stopped: {match.run}; the same command goes on with it", flush=True)
        else:
            print(f"played: {match.result}", flush=True)

    def _started(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running = {other for other in self._running if other.returncode is None} | {process}

    def _stop(self) -> None:
        with self._lock:
            for process in self._running:
                if process.returncode is None:
                    process.send_signal(signal.SIGINT)
            self._running.clear()


def _matches(board: Board, recipes: list[str], seeds: int, cache: Path) -> list[Match]:
    """Return all matches that are not played yet, every recipe's first seed before any second."""
    speed = paces(board, recipes, cache)
    matches = []
    for seed in range(seeds):
        for name in recipes:
            kimg = round(speed[name] * board.minutes * 60 / 1000, 3)
            matches.append(Match(board, name, seed, kimg, speed[name], cache))
    return [match for match in matches if not match.played]


def main() -> None:
    """Play the boards asked for and write their tables into the documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = [board.name for board in BOARDS]
    parser.add_argument(
        "--board", action="append", choices=names, help="play this one only (can be repeated)"
    )
    parser.add_argument("--recipe", action="append", help="play this recipe only (can be repeated)")
    parser.add_argument("--seeds", type=int, help="play so many seeds (3), to see how steady a recipe is")
    parser.add_argument("--workers", type=int, default=1, help="runs at once, one core each (%(default)s)")
    parser.add_argument("--for", type=float, dest="minutes", help="stop after so many minutes")
    parser.add_argument("--tables-only", action="store_true", help="play nothing; write the tables anew")
    parser.add_argument("--cache", type=Path, default=Path(".cache/forger"))
    arguments = parser.parse_args()
    until = time.monotonic() + (arguments.minutes or 1e9) * 60
    for board in BOARDS:
        if arguments.board and board.name not in arguments.board:
            continue
        recipes = [name for name in board.recipes if not arguments.recipe or name in arguments.recipe]
        if recipes and not arguments.tables_only:
            matches = _matches(board, recipes, arguments.seeds or board.seeds, arguments.cache)
            League(until).play(matches, arguments.workers)
        text = table(board)
        if text:
            print(f"\n{text}\n")
            for document in _DOCUMENTS:
                write_between(document, f"league {board.name}", text)


if __name__ == "__main__":
    main()
