"""From files to one array: every source of data becomes a :class:`~training.data.dataset.Dataset`."""

from __future__ import annotations

import re
from pathlib import Path

from training.config import FolderOptions
from training.data.assembly import assemble
from training.data.audit import AuditReport, audit, audit_embedded
from training.data.audit_text import render
from training.data.cache import cached
from training.data.dataset import Dataset
from training.data.embedded import EMBEDDED, load_embedded
from training.data.recognition import recognise
from training.data.source import fingerprint

__all__ = ["EMBEDDED", "AuditReport", "Dataset", "audit_dataset", "load_dataset", "render"]


def load_dataset(data: str, cache_dir: Path, options: FolderOptions | None = None) -> Dataset:
    """Return the data set that ``data`` means (see :mod:`training.data.recognition`).

    It is decoded once and kept in ``cache_dir``; later calls map the cached array into memory.
    Raises ``DataError`` naming what is wrong with the source.
    """
    if data in EMBEDDED:
        return cached(cache_dir, f"{data}-{EMBEDDED[data].revision}", lambda: load_embedded(data))
    options = options or FolderOptions()
    source = recognise(data, options)
    key = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', source.name)[:80]}-{fingerprint(source, options)}"
    return cached(cache_dir, key, lambda: assemble(source, options))


def audit_dataset(data: str, options: FolderOptions | None = None) -> AuditReport:
    """Look at every image that ``data`` means, and say what is there and what is wrong; nothing is kept.

    Raises ``DataError`` only where there is no source to look at.
    """
    if data in EMBEDDED:
        return audit_embedded(load_embedded(data))
    options = options or FolderOptions()
    return audit(recognise(data, options), options)
