"""How content is named: one spelling of a JSON document, one digest of bytes."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(document: Any) -> bytes:  # noqa: ANN401 - any JSON document has a canonical form
    """Return the one spelling of a JSON document that digests are taken of.

    Keys sorted, no blanks, UTF-8, numbers as Python writes them; NaN and infinities are refused.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def sha256_digest(data: bytes) -> str:
    """Return ``sha256:`` and the hexadecimal digest of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
