"""``wds:out/%05d.tar``: shards of a WebDataset; a sample is ``.png``, ``.cls`` (its class), ``.json``."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from forger.bulk.files import whole_file
from forger.bulk.pieces import File, Piece
from forger.bulk.sinks.sink import Sink, class_index


class WdsSink(Sink):
    """Tar files, one a segment."""

    kind: ClassVar[str] = "wds"

    def has(self, segment: int) -> bool:
        """Tell whether a segment is written."""
        return self._shard(segment).is_file()

    def folders(self) -> Sequence[Path]:
        """Return the shards' folder."""
        return [self.place.parent]

    def write(self, segment: int, pieces: Sequence[Piece]) -> None:
        """Write a shard, without a time in it: the same images make the same bytes."""
        shard = self._shard(segment)
        with (
            whole_file(shard) as written,
            tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for piece in pieces:
                for file in piece.files:
                    for suffix, content in _members(file):
                        entry = tarfile.TarInfo(f"{file.index:08d}.{suffix}")
                        entry.size = len(content)
                        tar.addfile(entry, io.BytesIO(content))

    def assemble(self) -> Sequence[Path]:
        """Return the shards: they are what was asked for."""
        return [self._shard(segment) for segment in range(self.job.segments)]

    def _shard(self, segment: int) -> Path:
        return self.place.with_name(self.place.name % segment)


def _members(file: File) -> list[tuple[str, bytes]]:
    facts = {"index": file.index, "class_label": file.label}
    members = [("png", file.content), ("json", json.dumps(facts).encode())]
    if file.label is not None:
        members.append(("cls", str(class_index(file.label)).encode()))
    return members
