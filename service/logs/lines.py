"""One line of the log: what it says, how it is spelled, and that it is a single line whatever it says.

Clients choose some of what is logged. In JSON every control character and everything beyond ASCII is
escaped, in text as well, so that no content can begin a line of its own, nor speak to a terminal. A line is
at most ``MOST_BYTES`` long: what a pipe takes whole, so that lines of several processes never mingle.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

MOST_BYTES = 4096
"""Of a line with its end; POSIX lets a pipe be written in pieces of so many bytes (PIPE_BUF on Linux)."""

_MOST_TEXT = 1000
_MOST_TRACE = 2400
_MOST_FACTS = 32
_MOST_LOOKED_AT = 8192

# What needs no quotes in a line of text.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+@{}-]+")
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), r"\1 [hidden]"),
    (re.compile(r"(?i)\b(authorization|cookie|[\w-]{0,40}(?:key|token|secret|password))(['\"]?\s*[=:]\s*)[^\s&,;]+"),
     r"\1\2[hidden]"),
)  # fmt: skip


class LineFormatter(logging.Formatter):
    """A log record as a line, in JSON or as text.

    A record may bring ``event``, the name of what happened, and ``facts`` about it, by
    ``extra={"event": ..., "facts": {...}}``.
    """

    def __init__(self, *, as_text: bool) -> None:
        super().__init__()
        self._as_text = as_text

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        said: dict[str, object] = {
            "logger": record.name,
            "pid": record.process,
            "message": hidden(_message(record)[:_MOST_LOOKED_AT]),
            **getattr(record, "facts", {}),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            said["traceback"] = hidden(_trace(record.exc_info[1])[-_MOST_LOOKED_AT:])
        event = getattr(record, "event", "message")
        line = event_line(record.created, record.levelname, event, said, as_text=self._as_text)
        return line.decode("ascii").rstrip("\n")


def event_line(at: float, level: str, event: str, said: Mapping[str, object], *, as_text: bool) -> bytes:
    """Return one line, with its end: of a time since the epoch, a level, an event and what is said of it.

    What is None is left out; long texts are cut, and a line of many as often as it takes.
    """
    time = _spelled_time(at)
    facts = {name: value for name, value in said.items() if value is not None}
    line = None if as_text else _plain_line({"time": time, "level": level.lower(), "event": event, **facts})
    return line or _careful_line(time, level, event, facts, as_text=as_text)


def _plain_line(document: dict[str, object]) -> bytes | None:
    """Return the line if it is short and plain as it is, as nearly all are: that takes little time."""
    try:
        line = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return None
    if len(line) > MOST_BYTES or len(document) > _MOST_FACTS or not line.isascii() or b"\x7f" in line:
        return None
    return line


def _careful_line(time: str, level: str, event: str, facts: Mapping[str, object], *, as_text: bool) -> bytes:
    """Return the line of whatever facts: escaped beyond ASCII, and cut until it is short."""
    facts = dict(list(facts.items())[:_MOST_FACTS])
    most = 1.0
    while True:
        cut = {name: _cut(name, value, most) for name, value in facts.items()}
        if as_text:
            line = " ".join(
                [time, level, event, *(f"{name}={_quoted(value)}" for name, value in cut.items())]
            )
        else:
            line = json.dumps({"time": time, "level": level.lower(), "event": event, **cut})
        if len(line) < MOST_BYTES:
            return line.encode("ascii", "backslashreplace") + b"\n"
        most /= 2


def _spelled_time(at: float) -> str:
    """Return a time in ISO 8601, of UTC, in milliseconds; seconds are spelled once."""
    global _second  # noqa: PLW0603 - the last one spelled; whoever finds another makes its own
    second, spelled = _second
    if int(at) != second:
        second = int(at)
        spelled = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = (second, spelled)
    return f"{spelled}.{int((at - second) * 1000):03d}Z"


_second = (0, "1970-01-01T00:00:00")


def hidden(text: str) -> str:
    """Return a text without what looks like a key that somebody sent."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _cut(name: str, value: object, share: float) -> object:
    """Return what is told of a value: a long text's beginning, or a trace's end, where the fault is."""
    if isinstance(value, bool | int | float) and abs(value) < 2**63:
        return value
    text = str(value)
    most = int((_MOST_TRACE if name == "traceback" else _MOST_TEXT) * share)
    if len(text) <= most:
        return text
    return f"...{text[-most:]}" if name == "traceback" else f"{text[:most]}..."


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a call with the wrong arguments is a line all the same
        return f"{record.msg!s:.200} (not formatted: {error})"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip("\n")
