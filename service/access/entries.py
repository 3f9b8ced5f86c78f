"""The file of keys: JSON Lines, an object a line for each key, with what the key may do and its hash."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from service.access.allowance import Limits
from service.access.rates import RATE_ALLOWED, Rate
from service.access.scopes import ANY_SCOPE, Scope
from service.access.tokens import HASH_PATTERN, ID_ALLOWED, ID_PATTERN
from service.errors import UnusableKeys

UNLIMITED: Literal["unlimited"] = "unlimited"
"""In place of a rate: no limit, whatever the settings say for all keys."""

_MOST_BYTES = 16 * 1024 * 1024
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

EXPIRES_ALLOWED = "an RFC 3339 date and time such as 2027-01-31T00:00:00Z"
_ALLOWED = {
    "id": ID_ALLOWED,
    "hash": "sha256: and 64 hexadecimal digits, as python -m service.access writes it; never a key itself",
    "scopes": f"a list of one or more of {ANY_SCOPE}, each once",
    "expires": f"{EXPIRES_ALLOWED}, or null",
    "requests": f"{RATE_ALLOWED}; unlimited; or null for what FORGER_KEY_REQUESTS says",
    "images": f"{RATE_ALLOWED}; unlimited; or null for what FORGER_KEY_IMAGES says",
    "note": "up to 200 characters for people, or null",
}


def parse_expiry(value: object) -> object:
    """Return the moment that is spelled, or what is none yet; raises ``ValueError`` for anything else."""
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise ValueError("must be a date and time")
    return datetime.fromisoformat(value.upper())


def _limit(value: object) -> object:
    return value if value is None or value == UNLIMITED or isinstance(value, Rate) else Rate.parse(value)


def _distinct(value: object) -> object:
    if not isinstance(value, list | tuple) or len(set(map(str, value))) != len(value):
        raise ValueError("must be a list without repetition")
    return value


_Limit = Annotated[
    Rate | Literal["unlimited"] | None,
    BeforeValidator(_limit),
    PlainSerializer(lambda value: value and str(value)),
]


class KeyEntry(BaseModel):
    """What is known of one key."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=ID_PATTERN, strict=True)]
    hash: Annotated[str, Field(pattern=HASH_PATTERN, strict=True, repr=False)]
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(_distinct), Field(min_length=1)]
    expires: Annotated[datetime | None, BeforeValidator(parse_expiry)] = None
    requests: _Limit = None
    images: _Limit = None
    note: Annotated[str | None, Field(max_length=200, strict=True)] = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the key."""
        return bytes.fromhex(self.hash.removeprefix("sha256:"))

    @property
    def expires_s(self) -> float:
        """When the key expires, in seconds of the Unix epoch."""
        return float("inf") if self.expires is None else self.expires.timestamp()

    def limits(self, default: Limits) -> Limits:
        """Return the key's limits, where those of all keys are ``default``."""
        return Limits(_or(self.requests, default.requests), _or(self.images, default.images))

    def line(self) -> str:
        """Return the entry as a line of the file."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), ensure_ascii=False)


def _or(own: Rate | Literal["unlimited"] | None, default: Rate | None) -> Rate | None:
    if own is None:
        return default
    return None if isinstance(own, str) else own


def read_entries(path: Path) -> list[KeyEntry]:
    """Return the entries of a file; raises ``UnusableKeys``: the line, its fault and what is allowed."""
    return parse_entries(read_text(path), path)


def read_text(path: Path) -> str:
    """Return the text of a file of keys; raises ``UnusableKeys``."""
    try:
        if not path.is_file():
            raise UnusableKeys(f"{path}: there is no such file; python -m service.access new makes it")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UnusableKeys(f"{path}: is larger than {_MOST_BYTES} bytes")
        return content.decode()
    except OSError as error:
        raise UnusableKeys(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UnusableKeys(f"{path}, line {line}: is not UTF-8") from None


def parse_entries(text: str, path: Path) -> list[KeyEntry]:
    """Return the entries in the text of a file; empty lines count for nothing."""
    entries: list[KeyEntry] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
        except ValueError as error:
            raise UnusableKeys(f"{path}, line {number}: {error}") from None
        if entry.id in seen:
            raise UnusableKeys(
                f"{path}, line {number}: id: line {seen[entry.id]} has it already; allowed: one line an id"
            )
        seen[entry.id] = number
        entries.append(entry)
    return entries


def _entry(line: str) -> KeyEntry:
    try:
        document = json.loads(line, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not JSON ({error.msg} at column {error.colno}); allowed: an object a line"
        ) from None
    except RecursionError:
        raise ValueError("is nested too deeply; allowed: an object a line") from None
    if not isinstance(document, dict):
        raise ValueError("is no object; allowed: an object with " + ", ".join(_ALLOWED))  # noqa: TRY004 - of the file
    try:
        return KeyEntry.model_validate(document)
    except ValidationError as error:
        raise ValueError(_explained(error)) from None


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice in the object; allowed: each once")
    return document


def _explained(error: ValidationError) -> str:
    """Return what is wrong, and never the value: somebody may have put a key where its hash belongs."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""  # of a name that is no text there is none
    if field not in _ALLOWED:
        return f"a name that is none of {', '.join(_ALLOWED)}"
    fault = "is missing" if first["type"] == "missing" else "is not what it must be"
    return f"{field}: {fault}; allowed: {_ALLOWED[field]}"
