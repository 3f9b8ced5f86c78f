"""Requests made of the API's document, as by ``make fuzz``: every answer is one that it allows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import server

if TYPE_CHECKING:
    from tests.fuzz.campaign import Report


@dataclass(frozen=True)
class Effort:
    """How many requests at least, for how long at most, and how many of each operation at a time."""

    requests: int
    seconds: float
    examples: int
    drawing_examples: int


FULL = Effort(20_000, 3600.0, 100, 600)
SHORT = Effort(300, 60.0, 2, 4)


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Send as many as asked for, of one seed after another."""
    with server(folder) as running:
        report = await asyncio.to_thread(_sent, running.url, effort)
        lives = running.process.poll() is None
    answers = Counter[str]()
    for (_, status), count in report.answers.items():
        answers[f"{status // 100}xx" if status != 504 else "504"] += count
    figures = {
        "requests": report.requests,
        "answers": dict(sorted(answers.items())),
        "faults": {fault: len(samples) for fault, samples in report.faults.items()},
    }
    laws = {
        "no 5xx but the 504 of who asks for it": not answers["5xx"],
        "every answer is in the document": report.is_sound,
        "as many as asked for": report.requests >= effort.requests,
        "the service itself lives on": lives,
    }
    return Finding("fuzz", figures, laws)


def _sent(url: str, effort: Effort) -> Report:
    from tests.fuzz import campaign  # takes a second, which no other scenario needs

    report, begun, seed = campaign.Report(), time.monotonic(), 1
    while report.requests < effort.requests and (passed := time.monotonic() - begun) < effort.seconds:
        some = campaign.Effort(
            examples=effort.examples,
            drawing_examples=effort.drawing_examples,
            seconds=effort.seconds - passed,
            requests=effort.requests,
            systematic=seed == 1,
        )
        campaign.carry_out(url, seed, some, report)
        seed += 1
    return report
