"""How long one image takes while somebody else hammers: with a key over its limit, or without a key.

The p99 of requests for one image on one connection, alone, and beside 32 connections that send request after
request and heed no refusal. A quarter more is allowed. The CPU that the flood takes of the server is told as
well: on a machine that does other things too it is the figure to trust.

    .venv/bin/python -m bench.serving.abuse
"""

from __future__ import annotations

import json
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.serving.load import Workload, load, require_wrk
from bench.serving.machine import cpu_s, wait_until_quiet
from bench.serving.models import make_models
from bench.serving.servers import CACHE, JSON, ONE, Contender, Server, forger
from service.access.changing import add_entry
from service.access.entries import KeyEntry
from service.access.rates import Rate
from service.access.scopes import Scope
from service.access.tokens import hash_of, new_token

RESULTS = Path(__file__).parent.parent / "results" / "serving-abuse.json"
_TURNS = 15
_SECONDS = 2
_CONNECTIONS = 32
# So little that what the abuser is allowed is no matter.
_ABUSED = Rate(1, 1)


def guarded(model: str, keys_file: Path) -> tuple[Contender, dict[str, Workload]]:
    """Return Forger asked for one image by a neighbour's key, and the floods: with a key, and without."""
    plain = forger(model).works[ONE]
    neighbour = _with_key(plain, _new_key(keys_file, "neighbour", None))
    floods = {
        "a key over its limit": _with_key(plain, _new_key(keys_file, "abuser", _ABUSED)),
        "no key": plain,
    }
    environment = {"FORGER_KEYS_FILE": str(keys_file)}
    return replace(forger(model), works={ONE: neighbour}, environment=environment), floods


def _new_key(file: Path, key_id: str, requests: Rate | None) -> str:
    token = new_token(key_id)
    add_entry(file, KeyEntry(id=key_id, hash=hash_of(token), scopes=(Scope.GENERATE,), requests=requests))
    return token


def _with_key(work: Workload, token: str) -> Workload:
    return replace(work, headers=(JSON, f"Authorization: Bearer {token}"))


def measure(running: Server, flood: Workload) -> dict[str, Any]:
    """Return the neighbour's latencies, alone and beside the flood, and what the flood came to.

    In short turns, so that what else the machine does meets both alike; of each figure the lower quartile:
    that of the turns in which it did little.
    """
    one = running.contender.works[ONE]
    load(running.url, one, 1, 1)
    rows = []
    wait_until_quiet([running.pid, os.getpid()], patience_s=10)
    for _ in range(_TURNS):
        alone = load(running.url, one, 1, _SECONDS)
        with ThreadPoolExecutor(1) as pool:
            abuser = pool.submit(load, running.url, flood, _CONNECTIONS, _SECONDS)
            beside = load(running.url, one, 1, _SECONDS)
        refused = abuser.result()
        rows.append(
            {
                "p50_alone_ms": alone["p50_ms"],
                "p50_ms": beside["p50_ms"],
                "p99_alone_ms": alone["p99_ms"],
                "p99_ms": beside["p99_ms"],
                "refused_per_s": refused["wrong_status"] / refused["seconds"],
                "errors": alone["errors"] + beside["errors"],
            }
        )
    row = {name: round(statistics.quantiles((row[name] for row in rows), n=4)[0], 3) for name in rows[0]}
    row["errors"] = sum(row["errors"] for row in rows)
    row["p99_ratio"] = round(row["p99_ms"] / row["p99_alone_ms"], 3)
    row["cpu_of_flood"] = round(_cpu_of(running, flood), 3)
    return row


def _cpu_of(running: Server, flood: Workload) -> float:
    """Return the CPU seconds a second that the flood alone takes of the server."""
    before = cpu_s([running.pid])
    seconds = load(running.url, flood, _CONNECTIONS, _SECONDS)["seconds"]
    return float((cpu_s([running.pid]) - before) / seconds)


def main() -> None:
    """Measure both generators and both floods; write the figures to ``bench/results/``."""
    require_wrk()
    models = make_models(CACHE / "models")
    figures = {}
    print(
        "| model | flood | p50 alone, ms | p50 beside | p99 alone | p99 beside | ratio | refused/s | errors |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, file in models.items():
        with TemporaryDirectory() as folder:
            contender, floods = guarded(name, Path(folder) / "keys.jsonl")
            with Server(contender, file, file.parents[2], CACHE) as running:
                for flood, work in floods.items():
                    figures[f"{name}, {flood}"] = row = measure(running, work)
                    cells = " | ".join(f"{value:.2f}" for value in row.values())
                    print(f"| {name} | {flood} | {cells} |", flush=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
