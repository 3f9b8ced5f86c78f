"""Server-sent events as items: each image as soon as the service has drawn it.

Source: the WHATWG HTML standard, 9.2, "Server-sent events".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import numpy as np

from forger.errors import BadAnswer, ConnectionFailed, problem_of
from forger.requests import array_of, item_of, origin_of
from forger.results import Item


class Events:
    """The events of one answer, whatever pieces its bytes come in; ``truncation`` is what was asked for."""

    def __init__(self, response: httpx.Response, truncation: Mapping[str, Any] | None) -> None:
        self._origin = origin_of(response)
        self._truncation = truncation
        self._rest = b""
        self.is_done = False
        """Whether the last event has come."""

    def items_in(self, piece: bytes) -> list[Item]:
        """Return the items that a piece completes; raises ``BadAnswer``, and what an event tells."""
        *whole, self._rest = (self._rest + piece).split(b"\n\n")
        return [item for event in whole if (item := self._item_in(event)) is not None]

    def _item_in(self, event: bytes) -> Item | None:
        fields = dict(line.partition(b": ")[::2] for line in event.split(b"\n"))
        name = fields.get(b"event")
        self.is_done |= name == b"done"
        if name not in (b"image", b"error"):
            return None
        try:
            document = json.loads(fields[b"data"])
            if name == b"error":
                raise problem_of(document)
            if "values" in document:
                array = np.array(document["values"], np.float32)
            else:
                array = array_of(base64.b64decode(document["b64_json"]))
            return replace(item_of(document, array, self._origin), truncation=self._truncation)
        except (LookupError, AttributeError, TypeError, ValueError, EOFError) as error:
            raise BadAnswer(f"an event of the stream cannot be read: {error}") from error


def broken_off(response: httpx.Response, error: Exception | None) -> ConnectionFailed:
    """Return the error of a stream that ended before its last event."""
    failed = ConnectionFailed(f"the stream from {response.url} broke off{f': {error}' if error else ''}")
    failed.request_id = response.headers.get("x-request-id")
    return failed
