"""NumPy archives (``.npz``): an array of images, and maybe one of labels and one of class names."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.labels import index_labels, renamed
from training.data.source import Contents, array_items, file_identity
from training.errors import DataError

_PAIRS = (
    ("images", "labels"),
    ("train_images", "train_labels"),
    ("x_train", "y_train"),
    ("x", "y"),
    ("arr_0", "arr_1"),
)
"""Keys of images and labels, in the order in which they are looked for; the last as ``np.savez(x, y)`` names
them, which is also how samples for FID are kept."""
_NAMES_KEY = "class_names"
_CHANNELS = (1, 3, 4)

Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class NpzSource:
    """The images of one archive."""

    path: Path

    kind = "a NumPy archive (NPZ)"

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def identity(self) -> list[object]:
        """Return the file with its size and time of change."""
        return file_identity(self.path)

    def contents(self) -> Contents:
        """Return the images in the array's order."""
        arrays = self._arrays()
        images_key, labels_key = self._keys(arrays)
        images, notes = _as_images(arrays[images_key], f"{self.path}: {images_key}")
        title = f"image {{}} of {self.path.name}"
        if labels_key not in arrays:
            missing = f"there is no array {labels_key!r} beside {images_key!r}, so there are no classes"
            return Contents(array_items(images, None, title.format), None, (*notes, missing))
        values = _as_labels(arrays[labels_key], f"{self.path}: {labels_key}", len(images))
        labels, names = index_labels(values, lambda position: f"{labels_key}[{position}] of {self.path.name}")
        if _NAMES_KEY in arrays:
            named = arrays[_NAMES_KEY]
            if named.ndim != 1 or named.dtype.kind != "U":
                raise DataError(f"{self.path}: {_NAMES_KEY} must be a list of texts")
            names = renamed(names, named.tolist(), f"{self.path}: {_NAMES_KEY}")
        return Contents(array_items(images, labels, title.format), names, notes)

    def _arrays(self) -> dict[str, NDArray]:
        """Read the arrays that matter; pickled ones are refused, for they could run anything."""
        wanted = {key for pair in _PAIRS for key in pair} | {_NAMES_KEY}
        try:
            with self.path.open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise DataError(f"{self.path} is one array, not an archive: write it with np.savez")
                keys = list(archive.files)
                arrays = {key: archive[key] for key in keys if key in wanted}
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise DataError(f"{self.path} is torn: {error}; write it again with np.savez") from error
        except ValueError as error:
            if "pickle" in str(error).lower():
                raise DataError(
                    f"{self.path} holds pickled objects, which are not loaded because they can run any code: "
                    "save arrays of plain numbers (uint8 images of one size, integer labels) with np.savez"
                ) from error
            raise DataError(f"{self.path} cannot be read as an archive of arrays ({error})") from error
        if not arrays:
            raise DataError(_no_images(self.path, keys))
        return arrays

    def _keys(self, arrays: Arrays) -> tuple[str, str]:
        for images_key, labels_key in _PAIRS:
            if images_key in arrays:
                return images_key, labels_key
        raise DataError(_no_images(self.path, list(arrays)))


def _no_images(path: Path, keys: list[str]) -> str:
    wanted = ", ".join(images for images, _ in _PAIRS)
    held = ", ".join(keys) or "nothing"
    return f"{path} has no array of images: it holds {held}, and one of {wanted} is needed"


def _as_images(array: NDArray, where: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return uint8 ``[N, H, W]`` or ``[N, H, W, C]``, with channels moved last where they stood first."""
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise DataError(
            f"{where} has the shape {array.shape}, where [N, H, W] or [N, H, W, C] is needed"
            + ("; reshape the rows to images first" if array.ndim == 2 else "")
        )
    if array.dtype != np.uint8:
        raise DataError(f"{where} is {array.dtype}, and images must be uint8, 0 to 255: {_remedy(array)}")
    if array.ndim == 3 or array.shape[3] in _CHANNELS:
        return array, ()
    if array.shape[1] in _CHANNELS:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)), (
            f"{array.shape} is taken as [N, C, H, W]: channels first",
        )
    raise DataError(f"{where} has the shape {array.shape}, where 1, 3 or 4 channels come last")


def _remedy(array: NDArray) -> str:
    """Say how to make bytes of it, going by its type and range."""
    if array.dtype.kind not in "fiub":
        return "save the pixels as numbers"
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and high <= 1 and low < 0:
        return f"the values run from {low:g} to {high:g}; save ((x + 1) * 127.5).round().astype('uint8')"
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and low >= 0 and high <= 1):
        return f"the values run from {low:g} to {high:g}; save (x * 255).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return "the values fit; save x.round().astype('uint8')"
    if array.dtype == np.uint16:
        return "save (x / 257).round().astype('uint8'), if white is 65535"
    return f"the values run from {low:g} to {high:g}; only you know what black and white are"


def _as_labels(array: NDArray, where: str, count: int) -> list[object]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and len(array) == count:
        raise DataError(f"{where} has the shape {array.shape}: if it is one-hot, save labels.argmax(axis=1)")
    if array.shape != (count,):
        raise DataError(f"{where} has the shape {array.shape}, but there are {count:,} images")
    if array.dtype.kind == "f":
        raise DataError(f"{where} is {array.dtype}, and labels name classes: save labels.astype('int64')")
    if array.dtype.kind not in "iubU":
        raise DataError(f"{where} is {array.dtype}, where integers or texts are needed")
    return list(array.tolist())
