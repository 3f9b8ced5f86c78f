"""Requests with a deadline come too fast: all are answered in time, and none is begun too late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.serving.arrivals import Until, at_rate, over_and_over, rows_a_second
from tests.chaos.serving.client import Client, Reply
from tests.chaos.serving.figures import milliseconds, seen
from tests.chaos.serving.findings import Finding
from tests.chaos.serving.stage import SLOW, counts, draw, learnt, server, total

_DEADLINE_MS = 200


@dataclass(frozen=True)
class Effort:
    """For how long requests come, how late an answer may be, and how much more is asked than can be done."""

    seconds: float
    grace_ms: float
    bound: str
    """Of the histogram of waits: the deadline, and what a busy machine may take between two lines."""
    times: float = 3.0


FULL = Effort(60.0, 100.0, "0.25")
# Without deadlines the last would wait for nearly three seconds.
SHORT = Effort(4.0, 2000.0, "1.0")


async def besiege(effort: Effort, folder: Path) -> Finding:
    """Send requests of one row each, so that whatever is begun is seen in the histogram of waits."""
    with server(folder, (SLOW,), max_batch=8, threads=1) as running:
        async with Client(running.port) as client:
            # Not under the deadline yet: nobody knows how long a first request takes.
            known = await learnt(client, [draw("slow", seed, 1) for seed in range(12)])
            hasty = [
                replace(draw("slow", seed, 1, {"X-Timeout-Ms": str(_DEADLINE_MS)}), digest=shot.digest)
                for seed, shot in enumerate(known)
            ]
            rate = effort.times * await rows_a_second(client, known, 16, 1.5)
            begun_before = await total(client, "forger_batch_rows_sum")
            given_before = await total(client, "forger_images_total")
            replies = await at_rate(client, over_and_over(hasty), rate, Until(effort.seconds))
            begun = await total(client, "forger_batch_rows_sum") - begun_before
            given = await total(client, "forger_images_total") - given_before
            waits = await counts(client, "forger_queue_wait_seconds_bucket")
    in_time = sum(count for labels, count in waits.items() if effort.bound in labels)
    ever = sum(count for labels, count in waits.items() if "+Inf" in labels)
    return _finding(effort, replies, begun, given, ever - in_time)


def _finding(effort: Effort, replies: list[Reply], begun: float, given: float, late: float) -> Finding:
    statuses = seen(replies)
    worst = milliseconds(replies, 1.0) or 0.0
    expired = statuses.get("504", 0)
    figures = {
        "requests": len(replies),
        "deadline ms": _DEADLINE_MS,
        "answers": statuses,
        "p50 ms": milliseconds(replies, 0.5),
        "p99 ms": milliseconds(replies, 0.99),
        "p100 ms": worst,
        "rows begun": int(begun),
        "rows delivered": int(given),
        "begun in time and not done in time": int(begun - given),
        "begun after the deadline": int(late),
    }
    laws = {
        "only 200, 429 and 504": set(statuses) <= {"200", "429", "504"},
        "more is asked than can be done in time": "504" in statuses,
        f"answered within the deadline and {effort.grace_ms:g} ms (p100)": worst
        <= _DEADLINE_MS + effort.grace_ms,
        "nothing is begun after its deadline": late == 0,
        "most that expired was never begun": begun - given < expired,
        "every image right": all(one.is_right for one in replies if one.status == 200),
    }
    return Finding("deadline", figures, laws)
