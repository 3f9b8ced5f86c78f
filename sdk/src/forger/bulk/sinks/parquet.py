"""``parquet:out/``: shards of ``image``, ``index`` and ``label``, which ``datasets`` loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from forger.bulk.files import whole_file
from forger.bulk.job import Job
from forger.bulk.pieces import Piece
from forger.bulk.sinks.sink import Sink, class_index
from forger.errors import Misuse


class ParquetSink(Sink):
    """Parquet files, one a segment; needs ``pip install forger-client[parquet]``."""

    kind: ClassVar[str] = "parquet"

    def begin(self, job: Job) -> None:
        """See that the library is there before anything is drawn."""
        _pyarrow()
        super().begin(job)

    def has(self, segment: int) -> bool:
        """Tell whether a segment is written."""
        return self._shard(segment).is_file()

    def folders(self) -> Sequence[Path]:
        """Return the shards' folder."""
        return [self.place]

    def write(self, segment: int, pieces: Sequence[Piece]) -> None:
        """Write a shard of one table."""
        pa, parquet = _pyarrow()
        files = [file for piece in pieces for file in piece.files]
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = [("image", image), ("index", pa.int64())]
        values: list[list[Any]] = [
            [{"bytes": file.content, "path": f"{file.index:08d}.png"} for file in files],
            [file.index for file in files],
        ]
        features: dict[str, Any] = {
            "image": {"_type": "Image"},
            "index": {"dtype": "int64", "_type": "Value"},
        }
        if self.job.classes is not None:
            columns.append(("label", pa.int64()))
            values.append([class_index(file.label) for file in files])
            features["label"] = {"names": list(self.job.classes), "_type": "ClassLabel"}
        told = {"huggingface": json.dumps({"info": {"features": features}})}
        table = pa.Table.from_arrays(
            [pa.array(column, kind) for column, (_, kind) in zip(values, columns, strict=True)],
            schema=pa.schema(columns, metadata=told),
        )
        with whole_file(self._shard(segment)) as written:
            parquet.write_table(table, written, compression="none", row_group_size=max(1, len(files)))

    def assemble(self) -> Sequence[Path]:
        """Return the shards: they are what was asked for."""
        return [self._shard(segment) for segment in range(self.job.segments)]

    def _shard(self, segment: int) -> Path:
        return self.place / f"train-{segment:05d}-of-{self.job.segments:05d}.parquet"


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise Misuse("parquet needs pyarrow: pip install 'forger-client[parquet]'") from error
    return pa, parquet
