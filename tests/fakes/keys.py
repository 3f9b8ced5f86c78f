"""A file of keys for a test, and the keys themselves, which no file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.access.changing import add_entry
from service.access.entries import KeyEntry
from service.access.tokens import hash_of, new_token
from tests.fakes.site import LocalService


def new_key(file: Path, key_id: str, *scopes: str, **more: Any) -> str:
    """Write a new key into the file, and return it; other arguments are fields of its entry."""
    token = new_token(key_id)
    document = {"id": key_id, "hash": hash_of(token), "scopes": list(scopes), **more}
    add_entry(file, KeyEntry.model_validate(document))
    return token


OPERATOR = "forger_operator_of-these-tests"
"""A key for everything, once :func:`operators_file` has written what is kept of it."""


def operators_file(folder: Path) -> Path:
    """Write a file of keys that knows the operator's, and return it."""
    file = folder / "keys.jsonl"
    scopes = ["generate", "admin", "metrics"]
    entry = {"id": "operator", "hash": hash_of(OPERATOR), "scopes": scopes}
    add_entry(file, KeyEntry.model_validate(entry))
    return file


def bearer(token: str) -> dict[str, str]:
    """Return the headers of a request that brings a key."""
    return {"authorization": f"Bearer {token}"}


def stopped(site: LocalService) -> LocalService:
    """Stop the clock that limits go by: nothing flows back, however long a test takes."""
    for holder in site.runtime.keyring._by_id.values():
        if holder.allowance is not None:
            holder.allowance._clock = lambda: 0
    return site
