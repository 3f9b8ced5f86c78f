"""The events of a stream, as OpenAPI 3.2 describes them: an object each, its data being JSON in a string."""

from __future__ import annotations

from collections.abc import Sequence

from service.http.openapi.schemas import Json, ref
from service.packaging.events import EVENT_STREAM

_ITEMS = ("FileItem", "VectorItem", "Grid", "Animation", "Histogram")
_EVENTS: dict[str, tuple[str, Sequence[str]]] = {
    "image": ("An item, as soon as it is drawn.", _ITEMS),
    "done": ("The last event: all items were sent.", ["Done"]),
    "error": (
        "The last event, in the place of done: why there are no more items.",
        ["Problem", "InputProblem"],
    ),
}


def event_schemas() -> dict[str, Json]:
    """Return the schema of each event, and of any."""
    kinds = {f"{name.title()}Event": _event(name, *told) for name, told in _EVENTS.items()}
    any_event: Json = {
        "title": "StreamEvent",
        "description": "One server-sent event: the lines `event: NAME` and `data: ` with JSON, then an "
        "empty line.",
        "oneOf": [ref(kind) for kind in kinds],
    }
    return {"StreamEvent": any_event, **kinds}


def _event(name: str, description: str, data: Sequence[str]) -> Json:
    schema = ref(data[0]) if len(data) == 1 else {"anyOf": [ref(kind) for kind in data]}
    return {
        "title": f"{name.title()}Event",
        "description": description,
        "type": "object",
        "properties": {
            "event": {"type": "string", "const": name},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema},
        },
        "required": ["event", "data"],
        "additionalProperties": False,
    }


def stream_content(examples: dict[str, Json]) -> dict[str, Json]:
    """Return the content of an answer that is a stream; its schema is that of each event."""
    return {EVENT_STREAM: {"schema": ref("StreamEvent"), "examples": examples}}
