"""From files to one array: every source of data becomes a :class:`~training.data.dataset.Dataset`."""

from __future__ import annotations

from pathlib import Path

from training.config import FolderOptions
from training.data.cache import cached
from training.data.dataset import Dataset
from training.data.embedded import EMBEDDED, load_embedded
from training.data.folder import folder_fingerprint, read_folder
from training.errors import DataError

__all__ = ["EMBEDDED", "Dataset", "load_dataset"]


def load_dataset(source: str, cache_dir: Path, options: FolderOptions | None = None) -> Dataset:
    """Return the data set that ``source`` names: an embedded set, or a folder of class subfolders.

    It is decoded once and kept in ``cache_dir``; later calls map the cached array into memory.
    Raises ``DataError`` naming what is wrong with the source.
    """
    if source in EMBEDDED:
        return cached(cache_dir, f"{source}-{EMBEDDED[source].revision}", lambda: load_embedded(source))
    folder = Path(source).expanduser()
    if not folder.is_dir():
        known = ", ".join(sorted(EMBEDDED))
        raise DataError(f"--data {source!r} is neither an embedded set ({known}) nor a folder that exists")
    options = options or FolderOptions()
    key = f"{folder.resolve().name}-{folder_fingerprint(folder, options)}"
    return cached(cache_dir, key, lambda: read_folder(folder, options))
