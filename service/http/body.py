"""Request bodies: read up to a limit, and parsed as strict JSON."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, NoReturn

from starlette.types import Receive

from service.errors import BodyTooLarge, ClientLeft, MalformedBody, QueueFull, UnsupportedMediaType

# A form is what `curl -d` calls its data, whatever it holds.
_READ_AS_JSON = frozenset(
    {"", "application/json", "text/json", "application/x-www-form-urlencoded", "text/plain"}
)
_SMALL_BODY_BYTES = 64 * 1024
_MOST_DIGITS = 400
_MOST_KEYS = 16_384
# Twice as many as the longest list of latents has, each an object that holds a list.
_MOST_CONTAINERS = 262_144
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def check_media_type(content_type: str, content_encoding: str) -> None:
    """Raise ``UnsupportedMediaType`` for a body that is labelled as something else than JSON or text."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _READ_AS_JSON and not re.fullmatch(r"application/[\w.-]+\+json", media_type):
        raise UnsupportedMediaType(
            "The body is read as JSON; label it application/json, or leave Content-Type out."
        )
    if content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("The body must not be compressed; leave Content-Encoding out.")


class BodyMemory:
    """How many bytes of large bodies all requests together hold; small ones are not counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def grow(self, before: int, after: int) -> None:
        """Count a body that grows; raises ``QueueFull`` if there is no room for it."""
        more = _counted(after) - _counted(before)
        if self.held + more > self._limit:
            raise QueueFull(
                f"Large bodies of {self.held} bytes are held already; at most {self._limit} may be."
            )
        self.held += more

    def let_go(self, size: int) -> None:
        """Count a body no more."""
        self.held -= _counted(size)


def _counted(size: int) -> int:
    return size if size > _SMALL_BODY_BYTES else 0


async def read_body(receive: Receive, content_length: str | None, limit: int, memory: BodyMemory) -> bytes:
    """Return a request's whole body, for which the caller lets the ``memory`` go.

    Raises ``BodyTooLarge`` as soon as it is known to exceed ``limit`` bytes, ``QueueFull`` if there is no
    room for it, and ``ClientLeft``.
    """
    if content_length is not None and content_length.isdecimal() and int(content_length[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    length, more = 0, True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft("The client closed the connection before its body was complete.")  # noqa: TRY301 - see below
            chunk = message.get("body", b"")
            if length + len(chunk) > limit:
                raise _too_large(limit)  # noqa: TRY301 - see below
            memory.grow(length, length + len(chunk))
            length += len(chunk)
            chunks.append(chunk)
            more = message.get("more_body", False)
    except BaseException:
        memory.let_go(length)
        raise
    return b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than the limit of {limit} bytes.")


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON document
    """Return the JSON document in the body; an empty body is ``{}``.

    Stricter than ``json.loads``: UTF-8, no NaN or Infinity, no repeated keys (which of the two is meant
    is anyone's guess), no half surrogate pairs (they cannot be written again), no object with more keys
    than any model has classes. Millions of small lists, which the parser would not let go of for seconds,
    are refused unparsed. Raises ``MalformedBody``.
    """
    if not body.strip():
        return {}
    if body.count(b"[") + body.count(b"{") > _MOST_CONTAINERS:
        raise MalformedBody(f"The body has more than {_MOST_CONTAINERS} lists and objects.")
    try:
        document = _DECODER.decode(body.removeprefix(codecs.BOM_UTF8).decode())
        if _ESCAPED_SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except UnicodeEncodeError:
        raise MalformedBody("A string of the body holds half of a surrogate pair.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_KEYS:
        raise MalformedBody(f"An object of the body has more than {_MOST_KEYS} keys.")
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        shown = json.dumps(twice[:60], ensure_ascii=True)  # whole surrogate pairs have not been checked yet
        raise MalformedBody(f"The key {shown} occurs more than once in one object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON; numbers must be finite.")


def _float(text: str) -> float:
    """Return the number: a function, so that the C parser lets other threads run between the numbers."""
    return float(text)


def _bounded_int(text: str) -> int:
    """Return the integer; one too long for any field is cut to its first digits, which are still too many."""
    return int(text[:_MOST_DIGITS])


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_constant=_refuse_constant,
    parse_int=_bounded_int,
    parse_float=_float,
)
