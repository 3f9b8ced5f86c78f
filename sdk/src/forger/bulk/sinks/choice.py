"""Which sink a text such as ``npz:out.npz`` means."""

from __future__ import annotations

import re
from pathlib import Path

from forger.bulk.sinks.archive import ZipSink
from forger.bulk.sinks.folder import FolderSink
from forger.bulk.sinks.npz import NpzSink
from forger.bulk.sinks.parquet import ParquetSink
from forger.bulk.sinks.sink import MANIFEST, Sink
from forger.bulk.sinks.wds import WdsSink
from forger.errors import Misuse

KINDS: dict[str, type[Sink]] = {
    kind.kind: kind for kind in (FolderSink, NpzSink, WdsSink, ParquetSink, ZipSink)
}
_NUMBERED = re.compile(r"[^%]*%0?\d*d[^%]*")


def sink_of(text: str) -> Sink:
    """Return the sink that a text names; raises ``Misuse`` saying what there is."""
    kind, colon, place = text.partition(":")
    if not colon or kind not in KINDS or not place:
        raise Misuse(f"a sink is {', '.join(f'{name}:PATH' for name in KINDS)}, not {text!r}")
    path = Path(place)
    if kind == "wds":
        if not _NUMBERED.fullmatch(path.name):
            raise Misuse(f"the shards of a WebDataset are numbered, like wds:out/%05d.tar, not {text!r}")
        return _in_folder(kind, path, path.parent)
    if kind in ("folder", "parquet"):
        return _in_folder(kind, path, path)
    if path.is_dir():
        raise Misuse(f"{place} is a folder: {kind} writes one file")
    return KINDS[kind](path, path.with_name(f"{path.name}.forger"), path.with_name(f"{path.name}.{MANIFEST}"))


def _in_folder(kind: str, place: Path, folder: Path) -> Sink:
    return KINDS[kind](place, folder / ".forger", folder / MANIFEST)
