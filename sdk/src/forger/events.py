"""Server-sent events as items: each image as soon as the service has drawn it.

Source: the WHATWG HTML standard, 9.2, "Server-sent events".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import numpy as np

from forger.errors import BadAnswer, ConnectionFailed, problem_of
from forger.requests import array_of, item_of, origin_of
from forger.results import Item, Origin

Reader = Generator[Item | None, str, None]


def items_in(response: httpx.Response, truncation: Mapping[str, Any] | None) -> Reader:
    """Take the lines of a stream, one a ``send``, and give back the item that each completes, or None.

    Ends after the last event. Raises the problem that an ``error`` event tells, and ``BadAnswer``.
    """
    origin = origin_of(response)
    name, data = "", ""
    item: Item | None = None
    while name != "done":
        line = yield item
        item = None
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            data += value
        elif not line and data:
            item = _item(name, data, origin, truncation)
            data = ""


def broken_off(response: httpx.Response, error: Exception | None) -> ConnectionFailed:
    """Return the error of a stream that ended before its last event."""
    failed = ConnectionFailed(f"the stream from {response.url} broke off{f': {error}' if error else ''}")
    failed.request_id = response.headers.get("x-request-id")
    return failed


def _item(name: str, data: str, origin: Origin, truncation: Mapping[str, Any] | None) -> Item | None:
    try:
        document = json.loads(data)
        if name == "error":
            raise problem_of(document)
        if name != "image":
            return None
        if "values" in document:
            array = np.array(document["values"], np.float32)
        else:
            array = array_of(base64.b64decode(document["b64_json"]))
        return replace(item_of(document, array, origin), truncation=truncation)
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"an event of the stream cannot be read: {error}") from error
