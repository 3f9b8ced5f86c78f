"""Content negotiation: which of the representations that can be made a client likes best.

Source: RFC 9110, 12.5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request

from service.encoding import CONTENT_TYPES
from service.errors import NotAcceptable
from service.generation.order import Order
from service.http.exchange import exchange_of
from service.packaging.answer import JSON, ZIP
from service.packaging.events import EVENT_STREAM

_MOST_RANGES = 100
# The length of a header whose meaning is remembered: clients send the same few for ever.
_SHORT = 256


@dataclass(frozen=True)
class MediaRange:
    """One entry of an Accept header, such as ``image/*;q=0.5``; ``place`` is its position there."""

    kind: str
    subtype: str
    quality: float
    place: int

    @property
    def specificity(self) -> int:
        """0 for ``*/*``, 1 for ``image/*``, 2 for a full media type."""
        return (self.kind != "*") + (self.subtype != "*")

    def matches(self, media_type: str) -> bool:
        """Tell whether the media type lies in the range."""
        kind, _, subtype = media_type.partition("/")
        return self.kind in ("*", kind) and self.subtype in ("*", subtype)


def accepted(request: Request) -> str | None:
    """Return what the request's Accept lines say together (RFC 9110, 5.3), or None if there are none."""
    return ", ".join(exchange_of(request).headers.all(b"accept")) or None


def parse_accept(header: str) -> list[MediaRange]:
    """Return the ranges of an Accept header; entries that are none, or too many, are passed over."""
    ranges = []
    for place, entry in enumerate(header.split(",", _MOST_RANGES)[:_MOST_RANGES]):
        media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
        kind, slash, subtype = media_type.partition("/")
        if slash and kind and subtype and (kind != "*" or subtype == "*"):
            ranges.append(MediaRange(kind, subtype, _quality(parameters), place))
    return ranges


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return 1.0
    return 1.0


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the offer that the header likes best, or None if it likes none.

    Without a header the first offer is it. Equal liking goes to what is named more exactly, then to what
    is named first, then to the earlier offer.
    """
    if accept is None or not accept.strip():
        return offers[0]
    ranges = parse_accept(accept)
    liked = []
    for rank, offer in enumerate(offers):
        matching = [one for one in ranges if one.matches(offer)]
        if matching:
            best = max(matching, key=lambda one: one.specificity)
            if best.quality > 0:
                liked.append((-best.quality, -best.specificity, best.place, rank, offer))
    return min(liked)[-1] if liked else None


@lru_cache(maxsize=256)
def _remembered(accept: str, offers: tuple[str, ...]) -> str | None:
    return choose(accept, offers)


def offers_for(order: Order) -> list[str]:
    """Return the media types that an order can be answered with, JSON first."""
    wanted = order.body.output_format
    files: tuple[str, ...]
    if not order.model.is_image:
        files = ("png", "npy")
    elif order.is_grid or order.count == 1:
        files = ("png", "jpeg", "webp", "npy")
    elif order.fps is not None:
        files = ("gif", "webp", "npy")
    else:
        files = ("npy",)
    fitting = [CONTENT_TYPES[name] for name in files if wanted in (None, name)]
    return [JSON, *fitting, ZIP, EVENT_STREAM]


def negotiate(accept: str | None, order: Order) -> str:
    """Return the media type of the answer; raises ``NotAcceptable`` saying what can be made instead."""
    if accept is None:
        return JSON
    offers = offers_for(order)
    chosen = (_remembered if len(accept) <= _SHORT else choose)(accept, tuple(offers))
    if chosen is not None:
        return chosen
    hint = ""
    asked_for_picture = any(one.kind == "image" for one in parse_accept(accept))
    if asked_for_picture and order.is_grid and order.fps is not None:
        hint = " A grid is one still picture: image/png, image/jpeg or image/webp."
    elif asked_for_picture and order.model.is_image and order.count > 1:
        what = "an animation is image/gif or image/webp" if order.fps else "there is no animation of these"
        hint = f" One picture cannot hold {order.count} images unless layout is grid; {what}."
    if order.body.output_format is not None:
        hint += f" output_format {order.body.output_format} rules other formats out."
    raise NotAcceptable(
        f"Accept names nothing that this request can be answered with: {', '.join(offers)}.{hint}"
    )
