"""IDX files, the form in which MNIST and its relatives come, packed by gzip or not."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.findings import some_of
from training.data.labels import index_labels, renamed
from training.data.source import Contents, array_items, file_identity
from training.errors import DataError

CLASS_NAMES = "class_names.txt"
"""A text file beside the IDX files that names the classes, a line each, in the order of the labels."""

_IMAGES_NAME = re.compile(
    r"(?P<head>.*)images(?P<dash>[-.])idx(?P<rank>[34])-ubyte(?P<gz>\.gz)?", re.IGNORECASE
)
_GZIP_MAGIC = b"\x1f\x8b"
_BYTES = 0x08
_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_CHANNELS = (1, 3, 4)


def idx_images_in(folder: Path) -> Path | None:
    """Return the file of images that a folder of IDX files means: the training part where there are several.

    None where there is no such file; raises ``DataError`` where several could be meant.
    """
    found = sorted(path for path in folder.iterdir() if _IMAGES_NAME.fullmatch(path.name))
    found = [path for path in found if path.suffix != ".gz" or path.with_suffix("") not in found]
    training = [path for path in found if "train" in path.name.lower()]
    chosen = training or found
    if len(chosen) > 1:
        names = some_of([path.name for path in chosen])
        raise DataError(f"{folder} holds several sets of IDX images: give one as --data ({names})")
    return chosen[0] if chosen else None


def is_idx_images(path: Path) -> bool:
    """Whether the file is named as IDX images are, as ``train-images-idx3-ubyte.gz``."""
    return _IMAGES_NAME.fullmatch(path.name) is not None


def read_idx(path: Path, ranks: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the array of an IDX file of bytes; raises ``DataError`` if the file is not what it says."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
        content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is torn: gzip says {error}; fetch it again") from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(
            f"{path} is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'} and not with the "
            "magic number 00 00 08, the type and the rank"
        )
    kind, rank = content[2], content[3]
    if kind != _BYTES:
        raise DataError(
            f"{path} holds {_TYPES.get(kind, 'values of an unknown type')}, where uint8 is needed"
        )
    if rank not in ranks:
        wanted = " or ".join(str(allowed) for allowed in ranks)
        raise DataError(
            f"{path} has {rank} dimensions, where {wanted} are needed: are images and labels swapped?"
        )
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{path} ends within its header")
    shape = struct.unpack(f">{rank}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{path} has the wrong length: its header says {' x '.join(map(str, shape))} bytes, and "
            f"{len(content) - start:,} follow; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


@dataclass(frozen=True)
class IdxSource:
    """The images of one IDX file, labelled by its sibling, whose name says labels for images."""

    images: Path
    name: str

    kind = "IDX files"

    @property
    def _labels(self) -> Path | None:
        """The file of labels beside the images, packed or not, or None."""
        match = _IMAGES_NAME.fullmatch(self.images.name)
        assert match is not None, "a source is made of a file that is named so"
        for dash in (match["dash"], "-", "."):
            for ending in (match["gz"] or "", "", ".gz"):
                path = self.images.with_name(f"{match['head']}labels{dash}idx1-ubyte{ending}")
                if path.is_file():
                    return path
        return None

    def identity(self) -> list[object]:
        """Return the two files, and the one of class names, with sizes and times of change."""
        files = [self.images, self._labels, self.images.with_name(CLASS_NAMES)]
        return [None if path is None or not path.is_file() else file_identity(path) for path in files]

    def contents(self) -> Contents:
        """Return the images in the file's order."""
        images = read_idx(self.images, (3, 4))
        if images.ndim == 4 and images.shape[3] not in _CHANNELS:
            raise DataError(
                f"{self.images} has images of {images.shape[3]} channels, where 1, 3 or 4 are meant"
            )
        if 0 in images.shape:
            raise DataError(f"{self.images} holds no image: its shape is {images.shape}")
        title = f"image {{}} of {self.images.name}"
        path = self._labels
        if path is None:
            missing = f"there is no file of labels beside {self.images.name}, so there are no classes"
            return Contents(array_items(images, None, title.format), None, (missing,))
        values = read_idx(path, (1,))
        if len(values) != len(images):
            raise DataError(f"{path.name} has {len(values):,} labels for {len(images):,} images")
        labels, names = index_labels(values.tolist(), lambda position: f"label {position} of {path.name}")
        return Contents(array_items(images, labels, title.format), self._named(names))

    def _named(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of ``class_names.txt`` for the values that occur, else the values themselves."""
        path = self.images.with_name(CLASS_NAMES)
        if not path.is_file():
            return values
        return renamed(values, path.read_text(encoding="utf-8-sig").splitlines(), str(path))
