"""Makes, lists and revokes keys: ``python -m service.access new | list | revoke``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from service.access.changing import add_entry, remove_entry
from service.access.entries import EXPIRES_ALLOWED, UNLIMITED, KeyEntry, parse_expiry, read_entries
from service.access.rates import RATE_ALLOWED, Rate
from service.access.scopes import Scope
from service.access.tokens import ID_ALLOWED, ID_PATTERN, hash_of, new_token
from service.errors import UnusableKeys

ValueT = TypeVar("ValueT")

_FILE_VARIABLE = "FORGER_KEYS_FILE"
_LONGEST_DAYS = 36_500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.file is None:
        print(f"forger: say which file: --file keys.jsonl, or set {_FILE_VARIABLE}", file=sys.stderr)
        return 2
    try:
        asked.run(asked)
    except UnusableKeys as error:
        print(f"forger: {error}", file=sys.stderr)
        return 1
    return 0


def _new(asked: argparse.Namespace) -> None:
    token = new_token(asked.id)
    entry = KeyEntry(
        id=asked.id,
        hash=hash_of(token),
        scopes=tuple(dict.fromkeys(asked.scope)),
        expires=asked.expires if asked.days is None else asked.days,
        requests=asked.requests,
        images=asked.images,
        note=asked.note,
    )
    add_entry(asked.file, entry)
    print(f"This is the key of {asked.id}; it cannot be shown again:", file=sys.stderr)
    print(token)


def _list(asked: argparse.Namespace) -> None:
    for entry in read_entries(asked.file):
        expired = " (expired)" if entry.expires is not None and entry.expires <= datetime.now(UTC) else ""
        facts = [
            entry.id,
            ",".join(entry.scopes),
            "never expires" if entry.expires is None else f"expires {entry.expires.isoformat()}{expired}",
            f"requests {entry.requests or 'as set for all'}",
            f"images {entry.images or 'as set for all'}",
            entry.note or "",
        ]
        print("\t".join(facts).rstrip())


def _revoke(asked: argparse.Namespace) -> None:
    remove_entry(asked.file, asked.id)
    print(f"{asked.id} is revoked; a service that runs knows it within two seconds", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.access", description="Makes, lists and revokes keys."
    )
    commands = parser.add_subparsers(required=True, metavar="new | list | revoke")

    new = commands.add_parser("new", help="make a key, print it once, and write its hash to the file")
    new.set_defaults(run=_new)
    new.add_argument(
        "--id", required=True, type=_typed(_id, ID_ALLOWED), help=f"whose key it is: {ID_ALLOWED}"
    )
    scopes = [scope.value for scope in Scope]
    new.add_argument(
        "--scope", required=True, action="append", choices=scopes, help="may be given several times"
    )
    expiry = new.add_mutually_exclusive_group()
    expiry.add_argument("--expires", type=_typed(parse_expiry, EXPIRES_ALLOWED), help=EXPIRES_ALLOWED)
    expiry.add_argument(
        "--days", type=_typed(_days, f"1 to {_LONGEST_DAYS}"), help="the days until it expires"
    )
    for name in ("requests", "images"):
        allowed = f"{RATE_ALLOWED}, or {UNLIMITED}"
        new.add_argument(f"--{name}", type=_typed(_limit, allowed), help=f"a limit of its own: {allowed}")
    new.add_argument("--note", type=_typed(_note, "up to 200 characters"), help="a word for people")

    listing = commands.add_parser("list", help="list the keys of the file, without their hashes")
    listing.set_defaults(run=_list)
    revoke = commands.add_parser("revoke", help="take a key out of the file")
    revoke.set_defaults(run=_revoke)
    revoke.add_argument("--id", required=True, help="whose key it is")
    default = os.environ.get(_FILE_VARIABLE)
    for command in (new, listing, revoke):
        command.add_argument(
            "--file",
            type=Path,
            default=Path(default) if default else None,
            help=f"absent: that of {_FILE_VARIABLE}",
        )
    return parser


def _typed(parse: Callable[[str], ValueT], allowed: str) -> Callable[[str], ValueT]:
    """Return the parser of an option, whose fault is told with what is allowed."""

    def typed(text: str) -> ValueT:
        try:
            return parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}; allowed: {allowed}") from None

    return typed


def _id(text: str) -> str:
    if not re.fullmatch(ID_PATTERN, text):
        raise ValueError(text)
    return text


def _days(text: str) -> datetime:
    days = int(text)
    if not 1 <= days <= _LONGEST_DAYS:
        raise ValueError(text)
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _limit(text: str) -> Rate | str:
    return text if text == UNLIMITED else Rate.parse(text)


def _note(text: str) -> str:
    if len(text) > 200:
        raise ValueError(text)
    return text


if __name__ == "__main__":
    sys.exit(main())
