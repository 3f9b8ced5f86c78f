"""A folder of class subfolders of image files becomes a data set."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from contract.digests import canonical_json
from training.config import FolderOptions
from training.data.dataset import HELD_OUT_FRACTION, Dataset, split
from training.errors import DataError

logger = logging.getLogger("training.data")

_GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
_LARGEST_NATIVE_EDGE = 128
_DEFAULT_EDGE = 64
_LONGEST_NAME = 200
_REVISION = 2
"""Changes with what is made of a file: cached arrays of another revision are not used."""
_FIRST_SIDEWAYS = 5
"""EXIF orientations from this one on lie on their side."""

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class _ImageFile:
    path: Path
    label: int


def folder_fingerprint(folder: Path, options: FolderOptions) -> str:
    """Return a short digest of what would be read (paths, sizes, times, options): the cache's key."""
    files, names = _image_files(folder)
    listing = [[str(file.path), file.path.stat().st_size, file.path.stat().st_mtime_ns] for file in files]
    document = [_REVISION, str(folder.resolve()), names, listing, options.model_dump()]
    return hashlib.sha256(canonical_json(document)).hexdigest()[:16]


def _files_below(folder: Path) -> list[Path]:
    """Return every file below a folder, without those that are hidden or lie in a hidden folder."""
    found = []
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            found.append(path)
    return sorted(found)


def _check_name(name: str) -> str:
    """Return a class's name; raises ``DataError`` for one that a manifest cannot carry."""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise DataError(
            f"the class folder {name[:40]!r} cannot name a class: 1 to {_LONGEST_NAME} printable letters"
        )
    return name


def _image_files(folder: Path) -> tuple[list[_ImageFile], tuple[str, ...] | None]:
    """Return the files with their labels and the class names: one class a subfolder, by name.

    Images that lie directly in the folder are a data set without classes.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    class_folders = [path for path in visible if path.is_dir()]
    loose = [path for path in visible if path.is_file()]
    if not class_folders:
        return [_ImageFile(path, 0) for path in loose], None
    files = []
    names: list[str] = []
    for class_folder in class_folders:
        members = _files_below(class_folder)
        if not members:
            raise DataError(f"the class folder {class_folder.name!r} holds no file; remove it or fill it")
        files += [_ImageFile(path, len(names)) for path in members]
        names.append(_check_name(class_folder.name))
    if len(names) == 1:
        raise DataError(
            f"there is a single class folder, {names[0]!r}: give that folder itself as --data to train "
            "without classes, or the folder above it that holds all the classes"
        )
    return files, tuple(names)


@dataclass(frozen=True)
class _Header:
    """What a file says of itself before it is decoded: (width, height) as shown, and its mode."""

    size: tuple[int, int]
    mode: str


_UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as an image ({error}); mend it or pass --skip-bad")


def _look(path: Path) -> _Header:
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_SIDEWAYS
            return _Header(image.size[::-1] if turned else image.size, image.mode)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _decode(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Decode a file's first frame, turned upright as its EXIF orientation says, at the target's size."""
    try:
        with Image.open(path) as image:
            return _fit(ImageOps.exif_transpose(image), size, channels)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Convert to grey or RGB bytes; deeper levels are scaled, transparency is laid on white.

    What white is follows from the mode, not from the picture: 65,535 for integers of 16 bits, 1 for
    floats, so that a dark file stays dark.
    """
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, dtype=np.float64)
        if not np.isfinite(levels).all():
            raise ValueError("it holds values that are no numbers")
        white_level = 1.0 if image.mode == "F" else 65535.0
        image = Image.fromarray(np.rint(np.clip(levels / white_level, 0, 1) * 255).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return image.convert("L" if channels == 1 else "RGB")


def _fit(image: Image.Image, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Crop to the target's proportions about the centre and resize, antialiased: uint8 [H, W, C]."""
    height, width = size
    fitted = _to_mode(image, channels)
    if fitted.size != (width, height):
        fitted = ImageOps.fit(fitted, (width, height), method=Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8).reshape(height, width, channels)


def _choose(headers: list[_Header], options: FolderOptions) -> tuple[tuple[int, int], int]:
    sizes = {header.size for header in headers}
    width, height = next(iter(sizes))
    native = len(sizes) == 1 and max(width, height) <= _LARGEST_NATIVE_EDGE
    size = options.size or ((height, width) if native else (_DEFAULT_EDGE, _DEFAULT_EDGE))
    grey = all(header.mode in _GREY_MODES for header in headers)
    return size, options.channels or (1 if grey else 3)


def _each_readable(
    files: list[_ImageFile], read: Callable[[_ImageFile], _Read], *, skip_bad: bool
) -> list[tuple[_ImageFile, _Read]]:
    """Read every file; unreadable ones are left out if ``skip_bad`` says so, and end it otherwise."""
    kept = []
    for file in files:
        try:
            kept.append((file, read(file)))
        except DataError as error:
            if not skip_bad:
                raise
            logger.warning("left out: %s", error)
    return kept


def _require_every_class(
    decoded: list[tuple[_ImageFile, NDArray[np.uint8]]], names: tuple[str, ...] | None
) -> None:
    """Raise ``DataError`` if a class lost all its images: it would be served without being trained."""
    present = {file.label for file, _ in decoded}
    for label, name in enumerate(names or ()):
        if label not in present:
            raise DataError(f"the class folder {name!r} holds no readable image; remove it or mend its files")


def read_folder(folder: Path, options: FolderOptions) -> Dataset:
    """Decode every image file under ``folder`` into one data set.

    Raises ``DataError`` naming the first unreadable file (unless ``skip_bad``), a lone or empty
    class folder, or a folder without images.
    """
    files, names = _image_files(folder)
    looked = _each_readable(files, lambda file: _look(file.path), skip_bad=options.skip_bad)
    if not looked:
        raise DataError(f"{folder} holds no readable image file")
    size, channels = _choose([header for _, header in looked], options)
    # One image at a time is held at its full size: photographs would not fit together.
    decoded = _each_readable(
        [file for file, _ in looked],
        lambda file: _decode(file.path, size, channels),
        skip_bad=options.skip_bad,
    )
    if not decoded:
        raise DataError(f"{folder} holds no readable image file")
    _require_every_class(decoded, names)
    samples = np.stack([pixels for _, pixels in decoded])
    labels = None if names is None else np.array([file.label for file, _ in decoded], dtype=np.int64)
    return Dataset(
        name=folder.resolve().name,
        samples=samples,
        labels=labels,
        class_names=names,
        held_out=split(labels, len(samples), HELD_OUT_FRACTION),
        description=f"{len(samples)} image files, cropped and resized to {size[0]} x {size[1]} (Lanczos).",
    )
