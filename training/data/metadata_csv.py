"""A folder with a ``metadata.csv``: a line an image, with columns ``file_name`` and ``label``."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.data.findings import some_of
from training.data.folder import in_order, looks_like_image, visible_files
from training.data.labels import index_labels
from training.data.source import Contents, Item, file_identity, open_file
from training.errors import DataError

TABLE = "metadata.csv"
_FILE_COLUMN = "file_name"
_LABEL_COLUMN = "label"

_Row = tuple[str, str, int]
"""File name, label and line of the table; the label is empty where there is no label column."""


@dataclass(frozen=True)
class MetadataCsvSource:
    """The images that ``folder/metadata.csv`` names, labelled by one of its columns."""

    folder: Path
    image_column: str | None
    label_column: str | None

    kind = "a folder with a metadata.csv"

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    def identity(self) -> list[object]:
        """Return the table and every file that it names, with their sizes and times of change."""
        files = [self.folder / name for name, _, _ in self._rows()[0]]
        return [file_identity(self.folder / TABLE), [file_identity(path) for path in files]]

    def contents(self) -> Contents:
        """Return the images in the order of their names, whatever the order of the lines."""
        rows, labelled = self._rows()
        labels, names = None, None
        if labelled:
            labels, names = index_labels(
                [label for _, label, _ in rows], lambda position: f"{TABLE} line {rows[position][2]}"
            )
        items = [
            Item(
                str(self.folder / name),
                None if labels is None else int(labels[position]),
                partial(open_file, self.folder / name),
            )
            for position, (name, _, _) in enumerate(rows)
        ]
        named = {self.folder / name for name, _, _ in rows}
        others = [
            path.name for path in visible_files(self.folder) if path not in named and looks_like_image(path)
        ]
        notes = (f"{TABLE} does not name, so left aside: {some_of(others)}",) if others else ()
        return Contents(items, names, notes)

    def _rows(self) -> tuple[list[_Row], bool]:
        """Return the table's rows by file name, and whether they are labelled."""
        try:
            text = (self.folder / TABLE).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{TABLE} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        try:
            file_column, label_column = self._columns(list(reader.fieldnames or []))
            rows = [
                ((row[file_column] or "").strip(), (row[label_column] or "") if label_column else "", line)
                for row, line in ((row, reader.line_num) for row in reader)
            ]
        except csv.Error as error:
            raise DataError(f"{TABLE} line {reader.line_num} is not comma-separated text: {error}") from error
        if not rows:
            raise DataError(f"{self.folder / TABLE} names no image: it has no line below its header")
        self._check_files(rows)
        return sorted(rows, key=lambda row: in_order(Path(row[0]))), label_column is not None

    def _columns(self, columns: list[str]) -> tuple[str, str | None]:
        listed = ", ".join(columns)
        if len(columns) == 1 and (";" in listed or "\t" in listed):
            raise DataError(f"{TABLE} separates its columns by semicolons or tabs: commas are needed")
        file_column = self.image_column or _FILE_COLUMN
        if file_column not in columns:
            option = "" if self.image_column else "; --image-column names another"
            raise DataError(f"{TABLE} has no column {file_column!r}, only: {listed}{option}")
        label_column = self.label_column or _LABEL_COLUMN
        if label_column in columns:
            return file_column, label_column
        others = [column for column in columns if column != file_column]
        if others or self.label_column:
            raise DataError(
                f"{TABLE} has no column {label_column!r}, only: {listed}; name the column of the classes "
                f"with --label-column, or leave {file_column!r} alone in the table to train without classes"
            )
        return file_column, None

    def _check_files(self, rows: list[_Row]) -> None:
        """Raise ``DataError`` for files that are absent, named twice, or outside the folder."""
        lines: dict[Path, int] = {}
        missing = []
        for name, _, line in rows:
            path = Path(name)
            if not name or path.is_absolute() or ".." in path.parts:
                raise DataError(
                    f"{TABLE} line {line}: {name!r} is no path inside the folder; write paths relative to "
                    f"{TABLE}"
                )
            if path in lines:
                raise DataError(f"{TABLE} names {name!r} twice, in lines {lines[path]} and {line}")
            lines[path] = line
            if not (self.folder / path).is_file():
                missing.append(f"{name} (line {line})")
        if missing:
            raise DataError(f"{TABLE} names {len(missing):,} files that do not exist: {some_of(missing)}")
