"""One request in a hundred is poison: it fails, and nobody who shares a run with it does."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.serving.arrivals import Until, in_turns
from tests.chaos.serving.client import Client, Reply, Shot
from tests.chaos.serving.figures import milliseconds, seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import ARRAY, POISONED, draw, learnt, server, total
from tests.fakes.models import NAN_AT

_NAN = [{"z": [NAN_AT] + [0.0] * (POISONED.dim - 1)}]
_EXPECTED = {"innocent": 200, "not finite": 500, "bad latent": 422}


@dataclass(frozen=True)
class Effort:
    """How many clients, for how long, and how much poison among what they send."""

    clients: int
    seconds: float
    poison: float = 0.01


FULL = Effort(24, 60.0)
SHORT = Effort(16, 4.0, 0.05)


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Let clients share the runs of a model that answers NaN to some latents, and send such latents."""
    with server(folder, (POISONED,)) as running:
        async with Client(running.port) as client:
            calm = [draw("poisoned", seed, 1 + seed % 3) for seed in range(40)]
            innocent = [
                Shot(shot.wire, shot.rows, "innocent", shot.digest) for shot in await learnt(client, calm)
            ]
            runs_before = await total(client, "forger_batch_rows_count")
            rows_before = await total(client, "forger_batch_rows_sum")
            replies: list[Reply] = []
            shots = _mixed(innocent, effort.poison, random.Random(1))
            await in_turns(client, shots, effort.clients, Until(effort.seconds), replies.append)
            runs = await total(client, "forger_batch_rows_count") - runs_before
            rows = await total(client, "forger_batch_rows_sum") - rows_before
    return _finding(replies, rows / runs)


def _mixed(innocent: Sequence[Shot], poison: float, chance: random.Random) -> Iterator[Shot]:
    bad = {
        "not finite": _NAN,
        "bad latent": [{"latent": [0.0] * (POISONED.dim + 1)}],
    }
    poisonous = [
        Shot.post("/generate", {"model": "poisoned", "latents": latents}, ARRAY, kind=kind)
        for kind, latents in bad.items()
    ]
    while True:
        yield chance.choice(poisonous if chance.random() < poison else innocent)


def _finding(replies: list[Reply], rows_a_run: float) -> Finding:
    of_kind = {kind: [one for one in replies if one.shot.kind == kind] for kind in _EXPECTED}
    figures = {
        "requests": len(replies),
        **{kind: seen(some) for kind, some in of_kind.items()},
        "rows a run": round(rows_a_run, 1),
        "p99 ms": milliseconds(of_kind["innocent"], 0.99),
    }
    laws = {
        "no innocent failure": all(one.status == 200 for one in of_kind["innocent"]),
        "every innocent image right": all(one.is_right for one in of_kind["innocent"]),
        "output that is not finite is a 500 of its own": _all(
            of_kind["not finite"], 500, b"/problems/model-output"
        ),
        "a bad latent is a 422": _all(of_kind["bad latent"], 422, b"/problems/invalid-input"),
        "requests share runs": rows_a_run > 3.0,
    }
    return Finding("isolation", figures, laws)


def _all(replies: list[Reply], status: int, words: bytes) -> bool:
    """Tell whether there are any, and all are that problem."""
    return bool(replies) and all(one.status == status and words in one.content for one in replies)
