"""Sabotages runs and asks the doctor: ``python -m bench.sabotage``.

Each trial writes a file of its own, and what is there is not run again, so it can be stopped at any time.
Seeds 8 to 12 of each case count; thresholds were set on seeds 0 to 7 and from 100 on.
"""

from __future__ import annotations

import argparse
from itertools import chain

import torch

from bench.sabotage.cases import HEALTHY, SABOTAGES, UNLISTED, Case
from bench.sabotage.table import write_table
from bench.sabotage.trial import Trial

SEEDS = range(8, 13)


def trials() -> list[Trial]:
    """Return every trial, a seed of each case before the next seed."""
    healthy = [Case("healthy", base) for base in HEALTHY]
    counted = [Trial(case, seed) for seed in SEEDS for case in (*SABOTAGES, *healthy)]
    return [*counted, *(Trial(case, SEEDS[0]) for case in UNLISTED)]


def main() -> None:
    """Run what has no result yet, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sabotage", description=__doc__)
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many trials")
    parser.add_argument(
        "--only", action="append", metavar="CASE", help="as healthy, 50-images or healthy-biggan"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    wanted = [trial for trial in trials() if _chosen(trial.case, options.only)]
    left = [trial for trial in wanted if not trial.is_done]
    print(f"{len(wanted) - len(left)} of {len(wanted)} trials are done")
    for trial in left[: options.limit]:
        document = trial.run()
        said = ", ".join(dict.fromkeys(finding["failure"] for finding in document["named"]))
        print(f"{trial.case.key}, seed {trial.seed}: {said or 'healthy'} ({document['cpu_s']} s)", flush=True)
    print(write_table(trials()))


def _chosen(case: Case, only: list[str] | None) -> bool:
    names = chain([case.name, case.key])
    return not only or any(name in only for name in names)


if __name__ == "__main__":
    main()
