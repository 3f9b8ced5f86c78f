"""What every source of images gives: numbered images that can be opened, their labels, the classes' names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.digests import canonical_json
from training.config import FolderOptions

_REVISION = 3
"""Changes with what is made of an image: cached arrays of another revision are not used."""


@dataclass(frozen=True)
class Item:
    """One image, not yet read; ``title`` is how messages name it, ``label`` counts the class names."""

    title: str
    label: int | None
    open: Callable[[], Image.Image]


@dataclass(frozen=True)
class Contents:
    """All that a source holds, in an order that follows from the content alone.

    ``class_names`` is None where there are no classes, and then every label is None. ``notes`` are
    sentences on what was left aside.
    """

    items: Sequence[Item]
    class_names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A place that images come from. Both methods raise ``DataError`` for what no reading could mend."""

    @property
    def name(self) -> str:
        """The data set's name."""

    @property
    def kind(self) -> str:
        """What was recognised, such as "a folder of class subfolders"."""

    def identity(self) -> list[object]:
        """Return, as JSON, what changes when the content may have: cheap, without decoding."""

    def contents(self) -> Contents:
        """Return the images."""


def fingerprint(source: Source, options: FolderOptions) -> str:
    """Return a short digest of what would be read and how: the key of the cache."""
    document = [_REVISION, source.kind, source.identity(), options.model_dump(mode="json")]
    return hashlib.sha256(canonical_json(document)).hexdigest()[:16]


def file_identity(path: Path) -> list[object]:
    """Return a file's place, size and time of change."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def open_file(path: Path) -> Image.Image:
    """Open an image file; the caller closes it."""
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    return Image.open(path)


def array_items(
    images: NDArray[np.uint8], labels: NDArray[np.int64] | None, title: Callable[[int], str]
) -> list[Item]:
    """Return the items of an array uint8 ``[N, H, W]`` or ``[N, H, W, C]``."""

    def opener(position: int) -> Callable[[], Image.Image]:
        return lambda: Image.fromarray(images[position].squeeze(-1) if flat else images[position])

    flat = images.ndim == 4 and images.shape[3] == 1
    return [
        Item(title(position), None if labels is None else int(labels[position]), opener(position))
        for position in range(len(images))
    ]
