"""Requests of every size for every model, for long: the service holds no more at the end than before."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.serving.arrivals import Until, in_turns
from tests.chaos.serving.client import Client, Reply, Shot
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SHIPPED, draw, learnt, server
from tests.chaos.serving.vitals import Chart, charted

_LEAK = Path(__file__).with_name("injected") / "leak"
_FEW = 3
_EXPECTED = {"200", "404", "422"}


@dataclass(frozen=True)
class Effort:
    """For how long, after how much of it memory must stay, and by how much it may grow."""

    seconds: float
    settled_s: float
    every_s: float
    most_growth: float
    clients: int = 3
    pause_s: float = 0.25
    """Of each client between two requests: what is looked for is what piles up, not what overload does."""
    leak_bytes: int = 0
    """What the service is made to leak at each request: a control, which the law of memory must catch."""


FULL = Effort(1800.0, 300.0, 5.0, 0.01)
SHORT = Effort(9.0, 2.5, 0.25, 0.10, pause_s=0.02)


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Let a few clients ask for anything, and look at the service's processes all the while."""
    leak = {"PYTHONPATH": str(_LEAK), "SIEGE_LEAK_BYTES": str(effort.leak_bytes)} if effort.leak_bytes else {}
    answers = _Answers()
    with server(folder, SHIPPED, leak) as running:
        async with Client(running.port, 60.0) as client:  # longer than the service's own deadline
            shots = _shuffled([*await learnt(client, _arrays()), *_others()])
            # The largest of everything once: buffers and threads are then as many as they will be.
            await in_turns(client, shots, 16, Until(min(2.0, effort.settled_s)), answers.take_in)
            async with charted(running.process.pid, effort.every_s) as chart:
                await in_turns(
                    client,
                    shots,
                    effort.clients,
                    Until(effort.seconds),
                    answers.take_in,
                    pause_s=effort.pause_s,
                )
    return _finding(effort, answers, chart)


@dataclass
class _Answers:
    """What came, counted: to keep it all would take more memory than the service does."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    strange: list[str] = field(default_factory=list)

    def take_in(self, reply: Reply) -> None:
        name = str(reply.status or reply.outcome.value)
        self.counts[name] += 1
        self.wrong += reply.is_right is False
        if name not in _EXPECTED:
            self.strange.append(f"{name} after {reply.seconds:.2f} s to {reply.shot.wire!r}")


def _arrays() -> list[Shot]:
    sizes = ((model, rows) for model in ("mnist", "digits") for rows in (1, 2, 5, 16, 64))
    return [draw(model, seed, rows) for (model, rows), seed in itertools.product(sizes, range(3))]


def _others() -> list[Shot]:
    """Answers that hold an id or a time, so that no two are the same."""
    ends = [{"latent": {"seed": seed}, "class_label": seed % 10} for seed in (1, 2, 3)]
    terms = [{"weight": 1, "of": [{"seed": 1}]}, {"weight": -0.5, "of": [{"seed": 2}]}]
    made: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("/generate", {}, {}),
        ("/generate", {"n": 12, "return_latents": True}, {}),
        ("/generate", {"n": 30, "layout": "grid"}, {"Accept": "image/png"}),
        ("/generate", {"n": 4, "output_format": "webp"}, {}),
        ("/generate", {"model": "gaussian", "n": 2000}, {}),
        ("/generate", {"n": 0}, {}),
        ("/generate", {"model": "none"}, {}),
        ("/generate", {"n": 9}, {"Accept": "application/zip"}),
        ("/arithmetic", {"class_label": 3, "terms": terms}, {}),
        ("/interpolate", {"keyframes": ends, "steps": 4}, {"Accept": "image/gif"}),
    ]
    posts = [Shot.post(path, body, headers) for path, body, headers in made]
    return [
        *posts,
        Shot.get("/models"),
        Shot.get("/metrics"),
        Shot.get("/images/mnist/4/2.png"),
        Shot.get("/nope"),
    ]


def _shuffled(shots: list[Shot]) -> Iterator[Shot]:
    chance = random.Random(3)
    while True:
        yield chance.choice(shots)


def _finding(effort: Effort, answers: _Answers, chart: Chart) -> Finding:
    settled = chart.after(effort.settled_s)
    growth = settled.memory_growth()
    descriptors, threads = settled.gained("descriptors"), settled.gained("threads")
    figures = {
        "requests": answers.counts.total(),
        "answers": dict(sorted(answers.counts.items())),
        "minutes": round(effort.seconds / 60, 1),
        "MiB": [round(one.memory_mib) for one in (settled.samples[0], settled.samples[-1])],
        "memory growth": round(growth, 4),
        "descriptors gained": descriptors,
        "threads gained": threads,
        "leaked bytes a request": effort.leak_bytes,
        **({"strange": "; ".join(answers.strange[:3])} if answers.strange else {}),
    }
    law = f"memory grows less than {effort.most_growth:.0%}"
    laws = {
        **({f"that {law} is seen to be broken": growth >= effort.most_growth} if effort.leak_bytes else {}),
        **({} if effort.leak_bytes else {law: growth < effort.most_growth}),
        "descriptors and threads are as many as before": max(descriptors, threads) <= _FEW,
        "only answers that were asked for": set(answers.counts) == _EXPECTED,
        "every image right": answers.wrong == 0,
    }
    return Finding("memory of a leaking control" if effort.leak_bytes else "memory", figures, laws)
