"""``folder:out/``: PNG files, in a folder a class, and ``metadata.jsonl``, as ``datasets`` loads them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from forger.bulk.files import whole_file, write_whole
from forger.bulk.pieces import File, Piece
from forger.bulk.sinks.sink import Sink, class_index

METADATA = "metadata.jsonl"
_MIXTURE = "mixture"
_UNLABELLED = "images"


class FolderSink(Sink):
    """A folder of images. A segment is done when its part of the metadata is there."""

    kind: ClassVar[str] = "folder"

    def folders(self) -> Sequence[Path]:
        """Return a folder a class."""
        names = [_UNLABELLED] if self.job.classes is None else [*map(folder_name, self.job.classes), _MIXTURE]
        return [self.place / name for name in names]

    def has(self, segment: int) -> bool:
        """Tell whether a segment is written."""
        return self._part(segment).is_file()

    def write(self, segment: int, pieces: Sequence[Piece]) -> None:
        """Write a segment's files, bring them to the disk, then tell of them."""
        named = {f"{_folder_of(file)}/{file.index:08d}.png": file for piece in pieces for file in piece.files}
        write_whole(self.place, {name: file.content for name, file in named.items()})
        lines = [json.dumps(_facts(name, file)).encode() + b"\n" for name, file in named.items()]
        with whole_file(self._part(segment)) as written:
            written.writelines(lines)

    def assemble(self) -> Sequence[Path]:
        """Join the metadata; folders of classes that were never drawn go."""
        metadata = self.place / METADATA
        with whole_file(metadata) as written:
            for segment in range(self.job.segments):
                with self._part(segment).open("rb") as part:
                    shutil.copyfileobj(part, written)
        for folder in self.folders():
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return [metadata]

    def _part(self, segment: int) -> Path:
        return self.state / f"{segment:06d}.jsonl"


def folder_name(class_name: str) -> str:
    """Return a class's name as that of a folder: without separators, none hidden, no two the same."""
    name = quote(class_name, safe=" ()+,;=@")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _folder_of(file: File) -> str:
    if file.label is None:
        return _UNLABELLED
    name = file.label["name"]
    return _MIXTURE if name is None else folder_name(name)


def _facts(name: str, file: File) -> Mapping[str, Any]:
    facts: dict[str, Any] = {"file_name": name, "index": file.index}
    if file.label is not None:
        facts |= {"label": file.label["name"], "class_index": class_index(file.label)}
        if file.label["weights"] is not None:
            facts["class_weights"] = json.dumps(file.label["weights"])
    return facts | {"sha256": hashlib.sha256(file.content).hexdigest()}
