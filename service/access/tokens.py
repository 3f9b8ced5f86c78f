"""The keys themselves: how one is made, what is kept of it, and whose it says it is.

A key is ``forger_ID_SECRET``, the secret being 32 random bytes in URL-safe Base64. Scanners for leaked
secrets find it by its beginning, and the service finds its entry by the id.
"""

from __future__ import annotations

import hashlib
import re
import secrets

ID_PATTERN = r"^[a-z0-9](-?[a-z0-9]){0,31}$"
ID_ALLOWED = "1 to 32 lower-case letters and digits, with single hyphens between them"
HASH_PATTERN = r"^sha256:[0-9a-f]{64}$"

LONGEST = 512
"""Bytes of the longest key that is looked at: what is longer is none, and would take time to hash."""

_BRAND = b"forger"
_SECRET_BYTES = 32


def new_token(key_id: str) -> str:
    """Return a new key for an id, which no one can guess."""
    assert re.match(ID_PATTERN, key_id)
    return f"{_BRAND.decode()}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def digest_of(token: bytes) -> bytes:
    """Return what is kept of a key.

    One plain SHA-256 is enough, and takes a microsecond: slow hashes are there to make guessing dear where
    people choose secrets, and nobody guesses 256 random bits. It is why the file takes no key but those that
    are made here.
    """
    return hashlib.sha256(token).digest()


def hash_of(token: str) -> str:
    """Return the digest of a key as the file states it."""
    return f"sha256:{digest_of(token.encode('ascii')).hex()}"


def id_in(token: bytes) -> bytes:
    """Return the id that a key names, unproved; empty if it is not of our form."""
    brand, _, rest = token.partition(b"_")
    return rest.partition(b"_")[0] if brand == _BRAND else b""
