"""A line in the log for each exchange: what was asked, what came of it, and how long each stage took."""

from __future__ import annotations

import time
from typing import Any

from service.generation.order import Glimpse, Order
from service.http.exchange import Exchange
from service.logs import LineWriter, event_line

_OUTCOMES = {429: "shed", 499: "left", 503: "shed", 504: "late"}


class AccessLog:
    """Notes exchanges as they end; their lines are made and written later, by the writer's thread."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def note(self, exchange: Exchange, status: int, elapsed_s: float, body_bytes: int) -> None:
        """Have the line of an exchange written soon: of all that the exchange holds, only this is kept."""
        order = exchange.order
        self._writer.note(
            self._line,
            (
                time.time(),
                exchange.request_id,
                exchange.trace_id,
                exchange.key_id,
                exchange.route,
                status,
                exchange.problem_slug,
                None if order is None else _drawn(order),
                exchange.stages_s,
                elapsed_s,
                body_bytes,
            ),
        )

    def _line(self, noted: tuple[Any, ...]) -> bytes:
        at, request_id, trace_id, key_id, route, status, slug, drawn, stages_s, elapsed_s, body_bytes = noted
        outcome = _outcome(status, slug)
        said = {
            "request_id": request_id,
            "trace_id": trace_id,
            "key_id": key_id,
            "route": route,
            "status": status,
            "outcome": outcome,
            "problem": slug,
        }
        if drawn is not None:
            name, version, digest, seed, count = drawn
            said |= {"model": f"{name}:{version}", "digest": digest, "seed": seed, "n": count}
        if stages_s is not None:
            for name, seconds in zip(("queue_ms", "inference_ms", "encode_ms"), stages_s, strict=True):
                said[name] = round(seconds * 1000, 3)
        said |= {"total_ms": round(elapsed_s * 1000, 3), "bytes": body_bytes}
        level = "ERROR" if outcome == "failed" else "INFO"
        return event_line(at, level, "request", said, as_text=self._writer.as_text)


def _drawn(order: Order | Glimpse) -> tuple[str, int, str, int | None, int]:
    """Return what is told of an order: not the order itself, which holds latents, nor the model."""
    model = order.model
    return model.name, model.version, model.digest, order.first_seed, order.count


def _outcome(status: int, slug: str | None) -> str:
    """Return what became of a request in a word; of a stream that broke off, too, whose status was 200."""
    if slug == "client-left":
        return "left"
    if status < 400:
        return "answered" if slug is None else "broken"
    return _OUTCOMES.get(status, "refused" if status < 500 else "failed")
