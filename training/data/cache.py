"""Decoded data sets on disk: read once, then mapped into memory."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.data.dataset import Dataset

_FACTS = ("name", "class_names", "description", "licence")


def cached(cache_dir: Path, key: str, load: Callable[[], Dataset]) -> Dataset:
    """Return the data set kept under ``key``, loading and keeping it first if it is not there."""
    place = cache_dir / key
    if not (place / "facts.json").is_file():
        _write(place, load())
    return _read(place)


def _write(place: Path, dataset: Dataset) -> None:
    """Write beside the final place, then rename: a reader never sees half a data set."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        np.save(temporary / "samples.npy", dataset.samples)
        np.save(temporary / "held_out.npy", dataset.held_out)
        if dataset.labels is not None:
            np.save(temporary / "labels.npy", dataset.labels)
        facts = {name: getattr(dataset, name) for name in _FACTS}
        (temporary / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        try:
            temporary.rename(place)
        except OSError:
            if (place / "facts.json").is_file():
                return  # another process was faster, with the same data
            shutil.rmtree(place)
            temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(place: Path) -> Dataset:
    facts = json.loads((place / "facts.json").read_text(encoding="utf-8"))
    labels = place / "labels.npy"
    names = facts.pop("class_names")
    return Dataset(
        samples=np.load(place / "samples.npy", mmap_mode="r"),
        labels=np.load(labels) if labels.is_file() else None,
        held_out=np.load(place / "held_out.npy"),
        class_names=None if names is None else tuple(names),
        **facts,
    )
