"""Parquet files and hub data sets, read through the ``datasets`` library: a row an image."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.config import FolderOptions
from training.data.findings import some_of
from training.data.labels import index_labels, renamed
from training.data.source import Contents, Item, open_file
from training.errors import DataError

if TYPE_CHECKING:
    import datasets

_LABEL_COLUMNS = ("label", "labels")
_PLAIN_IMAGE_COLUMNS = ("image", "img")


def require_library() -> Any:  # noqa: ANN401 - a module
    """Import the ``datasets`` library, which is an extra of its own because it is large."""
    try:
        import datasets  # noqa: PLC0415 - seconds, and seldom needed
    except ImportError as error:
        raise DataError(
            "parquet files and hub names need the datasets library, which is not installed: "
            "pip install --constraint constraints.txt '.[data]' in the environment that trains"
        ) from error
    return datasets


@dataclass(frozen=True)
class Table:
    """The rows of a table, with the columns that are meant."""

    rows: datasets.Dataset
    where: str
    options: FolderOptions

    def contents(self) -> Contents:
        """Return the images in the order of the rows.

        Raises ``DataError`` where it is not plain which columns hold images and labels, or where rows
        lack labels.
        """
        image_column, label_column = self._image_column(), self._label_column()
        if not len(self.rows):
            raise DataError(f"{self.where} has no rows")
        library = require_library()
        pictures = self.rows.select_columns([image_column])
        pictures = pictures.cast_column(image_column, library.Image(decode=False))
        labels, names, notes = self._labels(label_column)
        items = [
            Item(
                f"row {number} of {self.where}",
                None if labels is None else int(labels[number]),
                _opener(pictures, image_column, number),
            )
            for number in range(len(self.rows))
        ]
        return Contents(items, names, notes)

    def _labels(
        self, column: str | None
    ) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None, tuple[str, ...]]:
        """Return the rows' labels, the classes' names, and what there is to say of them."""
        if column is None:
            columns = ", ".join(self.rows.column_names)
            return None, None, (f"no column of labels among {columns}; --label-column names one",)
        feature = self.rows.features[column]
        values = list(self.rows[column])
        known = getattr(feature, "names", None)
        if known is not None:
            unlabelled = sum(value is None or value < 0 for value in values)
            if unlabelled:
                raise DataError(
                    f"{unlabelled:,} of {len(values):,} rows of {self.where} have no {column}: this part is "
                    "not labelled; give another split, such as :train"
                )
        elif any(isinstance(value, float) and value == value for value in values):  # noqa: PLR0124 - not NaN
            raise DataError(f"{self.where}: the column {column!r} holds fractions, but labels name classes")
        labels, names = index_labels(values, lambda position: f"row {position} of {self.where}")
        if known is None:
            return labels, names, ()
        names = renamed(names, known, f"{self.where}: {column}")
        absent = [name for name in known if name not in names]
        return labels, names, (f"classes without images, so left aside: {some_of(absent)}",) if absent else ()

    def _image_column(self) -> str:
        features = self.rows.features
        if self.options.image_column is not None:
            return self._known(self.options.image_column, "--image-column")
        library = require_library()
        found = [name for name, feature in features.items() if isinstance(feature, library.Image)]
        found = found or [
            name for name in features if name in _PLAIN_IMAGE_COLUMNS and self._holds_files(name)
        ]
        if len(found) == 1:
            return found[0]
        what = f"several columns of images ({', '.join(found)})" if found else "no column of images"
        raise DataError(f"{self.where} has {what} among {', '.join(features)}: name one with --image-column")

    def _holds_files(self, column: str) -> bool:
        """Whether a column that says nothing of images holds the bytes of files all the same."""
        feature = self.rows.features[column]
        if isinstance(feature, dict):
            return set(feature) == {"bytes", "path"}
        return getattr(feature, "dtype", None) in {"binary", "large_binary"}

    def _label_column(self) -> str | None:
        if self.options.label_column is not None:
            return self._known(self.options.label_column, "--label-column")
        features = self.rows.features
        library = require_library()
        found = [name for name in _LABEL_COLUMNS if name in features][:1]
        found = found or [
            name for name, feature in features.items() if isinstance(feature, library.ClassLabel)
        ]
        if len(found) > 1:
            raise DataError(
                f"{self.where} has several columns of labels ({', '.join(found)}): name one with "
                "--label-column"
            )
        return found[0] if found else None

    def _known(self, column: str, option: str) -> str:
        if column not in self.rows.features:
            raise DataError(
                f"{option} {column!r}: {self.where} has no such column, only {', '.join(self.rows.features)}"
            )
        return column


def _opener(pictures: datasets.Dataset, column: str, number: int) -> Callable[[], Image.Image]:
    def opened() -> Image.Image:
        picture = pictures[number][column]
        if picture is None:
            raise ValueError("the row has no image")
        if picture["bytes"] is None:
            return open_file(Path(picture["path"]))
        if not picture["bytes"]:
            raise ValueError("the file is empty")
        return Image.open(io.BytesIO(picture["bytes"]))

    return opened
