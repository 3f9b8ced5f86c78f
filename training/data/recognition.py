"""What ``--data`` means: the rules by which a source is recognised, in this order.

1. ``hub:...`` is a data set of the hub; the name of an embedded set is that set.
2. A file is recognised by its name: ``.npz``, ``.parquet``, ``...images-idx3-ubyte`` with or without ``.gz``.
3. A folder with a ``metadata.csv`` is what the table says; one with IDX images or parquet files directly
   in it is those; any other holds image files, in class subfolders or not.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from training.config import FolderOptions
from training.data.embedded import EMBEDDED
from training.data.folder import FolderSource, looks_like_image
from training.data.hub import PREFIX, hub_source
from training.data.idx import IdxSource, idx_images_in, is_idx_images
from training.data.metadata_csv import TABLE, MetadataCsvSource
from training.data.npz import NpzSource
from training.data.parquet import ParquetSource, parquet_files_in
from training.data.source import Source
from training.errors import DataError

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".7z", ".rar")


def recognise(data: str, options: FolderOptions) -> Source:
    """Return the source that ``--data`` means, an embedded set's name aside.

    Raises ``DataError`` for what is not there or is of no known kind, saying what is near.
    """
    if data.startswith(PREFIX):
        return hub_source(data, options)
    if not data.strip():
        raise DataError("--data is empty: give an embedded set, a folder, a file or a name on the hub")
    path = Path(data).expanduser()
    if path.is_dir():
        return _folder(path, options)
    if path.is_file():
        return _file(path, options)
    raise DataError(_absent(data, path))


def _folder(path: Path, options: FolderOptions) -> Source:
    name = path.resolve().name
    if (path / TABLE).is_file():
        return MetadataCsvSource(path, options.image_column, options.label_column)
    images = idx_images_in(path)
    if images is not None:
        return IdxSource(images, name)
    files = parquet_files_in(path)
    if files:
        return ParquetSource(tuple(files), name, options)
    return FolderSource(path)


def _file(path: Path, options: FolderOptions) -> Source:
    name = path.name.lower()
    if name.endswith(".npz"):
        return NpzSource(path)
    if name.endswith(".parquet"):
        return ParquetSource((path,), path.stem, options)
    if is_idx_images(path):
        return IdxSource(path, path.name.split(".")[0])
    raise DataError(f"--data {str(path)!r} is one file, and {_advice(path, name)}")


def _advice(path: Path, name: str) -> str:
    if name.endswith(_ARCHIVES):
        return "an archive: unpack it and give the folder"
    if "labels" in name and "idx1" in name:
        return f"holds labels: give the file of the images, {path.name.replace('labels', 'images')}"
    if looks_like_image(path):
        return f"one image makes no data set: give its folder ({path.parent})"
    if name.endswith(".csv"):
        return f"only {TABLE} within a folder is read: give the folder ({path.parent})"
    if name.endswith(".npy"):
        return "an array without labels: save it with np.savez(path, images=..., labels=...)"
    return "of no known kind: .npz, .parquet and ...images-idx3-ubyte(.gz) are"


def _absent(data: str, path: Path) -> str:
    known = ", ".join(sorted(EMBEDDED))
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(data, sorted(EMBEDDED), 1)
    near += [str(path.parent / name) for name in difflib.get_close_matches(path.name, sorted(beside), 1)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    if not near and not path.parent.is_dir():
        hint = f"; there is no folder {path.parent} either"
    elif not near and data.count("/") == 1 and not data.startswith((".", "~", "/")):
        hint = f"; if it is a name on the hub, give {PREFIX}{data}"
    return f"--data {data!r} is neither an embedded set ({known}) nor a folder or file that exists{hint}"
