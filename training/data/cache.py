"""Decoded data sets on disk: read once, then mapped into memory."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import Dataset
from training.errors import DataError, NotWritten
from training.locks import locked_when_free
from training.storage import sync_folder

logger = logging.getLogger("training.data")

_FACTS = ("name", "class_names", "description", "licence", "digest")


def cached(cache_dir: Path, key: str, load: Callable[[], Dataset]) -> Dataset:
    """Return the data set kept under ``key``, loading and keeping it first if it is not there.

    One process loads it while others that want it wait. What is kept is read anew if it is damaged.
    """
    place = cache_dir / key
    kept = _read(place)
    if kept is None:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with locked_when_free(cache_dir / f".{key}.lock", f"reading the same data into {place}"):
            kept = _read(place)
            if kept is None:
                _write(place, load())
                kept = _read(place)
    if kept is None:
        raise DataError(f"{place} does not hold what was written there: the disk may be failing")
    return kept


def _write(place: Path, dataset: Dataset) -> None:
    """Write beside the final place, then rename: a reader never sees half a data set."""
    for leftover in place.parent.glob(f".{place.name}-*/"):  # of killed processes: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        _save(temporary / "samples.npy", dataset.samples)
        _save(temporary / "held_out.npy", dataset.held_out)
        if dataset.labels is not None:
            _save(temporary / "labels.npy", dataset.labels)
        facts = {name: getattr(dataset, name) for name in _FACTS}
        (temporary / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        sync_folder(temporary)
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
    except OSError as fault:
        # numpy tells a full disk by how many items it wrote, and not by what the disk said.
        raise NotWritten(f"{place} could not be written: {fault.strerror or 'the disk is full'}") from fault
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    with path.open("xb") as stream:
        np.save(stream, array)
        stream.flush()
        os.fsync(stream.fileno())


def _read(place: Path) -> Dataset | None:
    """Return what is kept at a place, or None if that is nothing or not what was written."""
    if not (place / "facts.json").is_file():
        return None
    try:
        facts = json.loads((place / "facts.json").read_text(encoding="utf-8"))
        labels = place / "labels.npy"
        names, digest = facts.pop("class_names"), facts.pop("digest")
        dataset = Dataset(
            samples=np.load(place / "samples.npy", mmap_mode="r"),
            labels=np.load(labels) if labels.is_file() else None,
            held_out=np.load(place / "held_out.npy"),
            class_names=None if names is None else tuple(names),
            **facts,
        )
    except (ValueError, KeyError, TypeError, EOFError, FileNotFoundError, DataError):
        digest, dataset = None, None
    if dataset is None or dataset.digest != digest:
        logger.warning("%s is damaged, or of an earlier version: reading the data anew", place)
        return None
    return dataset
