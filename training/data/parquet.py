"""Parquet files as the ``datasets`` library writes them: one, or a folder of the shards of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.config import FolderOptions
from training.data.source import Contents, file_identity
from training.data.table import Table, require_library
from training.errors import DataError


def parquet_files_in(folder: Path) -> list[Path]:
    """Return the parquet files that lie in a folder: those of the training part where some are named so."""
    found = sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))
    return [path for path in found if path.name.startswith("train")] or found


@dataclass(frozen=True)
class ParquetSource:
    """The rows of parquet files, one after another."""

    files: tuple[Path, ...]
    name: str
    options: FolderOptions

    kind = "parquet"

    def identity(self) -> list[object]:
        """Return the files with their sizes and times of change."""
        return [file_identity(path) for path in self.files]

    def contents(self) -> Contents:
        """Return the images in the order of the rows."""
        library = require_library()
        import pyarrow as pa  # noqa: PLC0415 - comes with the library
        from pyarrow import parquet  # noqa: PLC0415 - the same

        try:
            tables = [parquet.read_table(path) for path in self.files]
            rows = library.Dataset(library.table.InMemoryTable(pa.concat_tables(tables)))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
            raise DataError(f"{self.name}: {_first_line(error)}; is it whole, and parquet?") from error
        where = self.files[0].name if len(self.files) == 1 else f"{self.name} ({len(self.files)} files)"
        return Table(rows, where, self.options).contents()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
