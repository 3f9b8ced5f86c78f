"""``npz:out.npz``: ``arr_0`` uint8 ``[N, H, W, C]``, ``arr_1`` int64 ``[N]``, as tools for FID read them."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from forger.bulk.files import whole_file
from forger.bulk.pieces import Piece
from forger.bulk.sinks.sink import Sink

_EPOCH = (1980, 1, 1, 0, 0, 0)
_COPIED_AT_ONCE = 2**20


class NpzSink(Sink):
    """One file of arrays; vectors are float32 ``[N, size]``. Without classes there is no ``arr_1``."""

    kind: ClassVar[str] = "npz"
    wants_files: ClassVar[bool] = False
    takes_vectors: ClassVar[bool] = True

    def has(self, segment: int) -> bool:
        """Tell whether a segment is written."""
        return self._rows(segment).is_file()

    def write(self, segment: int, pieces: Sequence[Piece]) -> None:
        """Write a segment: its labels first, so that where its rows are it is whole."""
        if self.job.classes is not None:
            with whole_file(self._labels(segment)) as file:
                for piece in pieces:
                    assert piece.labels is not None, "a model with classes tells them"
                    file.write(piece.labels.astype("<i8").tobytes())
        with whole_file(self._rows(segment)) as file:
            for piece in pieces:
                assert piece.array is not None, "this sink is given arrays"
                file.write(np.ascontiguousarray(piece.array).data)

    def assemble(self) -> Sequence[Path]:
        """Copy the segments' bytes behind the heads of two arrays."""
        with whole_file(self.place) as written, zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
            dtype = np.dtype(np.uint8 if self.job.draws_images else "<f4")
            count = self.job.n - len(self.missing())
            rows = [self._rows(k) for k in range(self.job.segments)]
            self._array(archive, "arr_0", (count, *self.job.shape), dtype, rows)
            if self.job.classes is not None:
                labels = [self._labels(k) for k in range(self.job.segments)]
                self._array(archive, "arr_1", (count,), np.dtype("<i8"), labels)
        return [self.place]

    def _array(
        self,
        archive: zipfile.ZipFile,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Sequence[Path],
    ) -> None:
        entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
        with archive.open(entry, "w", force_zip64=True) as file:
            file.write(_head(shape, dtype))
            for part in parts:
                with part.open("rb") as rows:
                    shutil.copyfileobj(rows, file, _COPIED_AT_ONCE)

    def _rows(self, segment: int) -> Path:
        return self.state / f"{segment:06d}.rows"

    def _labels(self, segment: int) -> Path:
        return self.state / f"{segment:06d}.labels"


def _head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return the beginning of an NPY file."""
    head = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
    return head.getvalue()
