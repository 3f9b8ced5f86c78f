"""``zip:out.zip``: PNG files and ``dataset.json``, as the tools of StyleGAN read them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from forger.bulk.files import whole_file
from forger.bulk.pieces import NO_CLASS, Piece
from forger.bulk.sinks.sink import Sink, class_index

_EPOCH = (1980, 1, 1, 0, 0, 0)


class ZipSink(Sink):
    """One archive. Until it is made, a segment is an archive of its own."""

    kind: ClassVar[str] = "zip"

    def has(self, segment: int) -> bool:
        """Tell whether a segment is written."""
        return self._part(segment).is_file()

    def write(self, segment: int, pieces: Sequence[Piece]) -> None:
        """Write a segment's images, with their classes in the archive's comment."""
        with whole_file(self._part(segment)) as written, zipfile.ZipFile(written, "w") as archive:
            for piece in pieces:
                for file in piece.files:
                    entry = _entry(file.index)
                    entry.comment = str(class_index(file.label)).encode()
                    archive.writestr(entry, file.content)

    def assemble(self) -> Sequence[Path]:
        """Copy the segments' images into one archive, and list their classes."""
        labels = []
        with whole_file(self.place) as written, zipfile.ZipFile(written, "w", allowZip64=True) as archive:
            for segment in range(self.job.segments):
                with zipfile.ZipFile(self._part(segment)) as part:
                    for entry in part.infolist():
                        labels.append([entry.filename, int(entry.comment)])
                        archive.writestr(zipfile.ZipInfo(entry.filename, _EPOCH), part.read(entry))
            # These tools know of no mixtures: with one, there are no labels at all.
            has_labels = self.job.classes is not None and all(label != NO_CLASS for _, label in labels)
            listed = {"labels": labels if has_labels else None}
            archive.writestr(zipfile.ZipInfo("dataset.json", _EPOCH), json.dumps(listed))
        return [self.place]

    def _part(self, segment: int) -> Path:
        return self.state / f"{segment:06d}.zip"


def _entry(index: int) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{index // 1000:05d}/img{index:08d}.png", _EPOCH)
