"""A run's figures as JSON lines that are whole, in order, and cut back to where a run goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.storage import Appender, write_whole


class Journal:
    """A file of JSON objects, a line each, that all say at how many ``images_seen`` they were written."""

    def __init__(self, path: Path, images_seen: int) -> None:
        """Open the file for more; lines later than ``images_seen`` and torn ones are dropped."""
        _cut_back(path, images_seen)
        self._lines = Appender(path)

    def write(self, images_seen: int, **facts: Any) -> None:  # noqa: ANN401 - any JSON
        """Append a line; raises ``NotWritten``, and leaves no part of it, if the disk has no room."""
        line = json.dumps({"images_seen": images_seen, **facts}, allow_nan=False)
        self._lines.write(f"{line}\n".encode())

    def sync(self) -> None:
        """Have all lines outlive a power cut."""
        self._lines.sync()

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _cut_back(path: Path, images_seen: int) -> None:
    """Keep what the checkpoint that is gone on from knew of."""
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _is_known(line, images_seen)]
    if kept != lines:
        write_whole(path, b"".join(kept))


def _is_known(line: bytes, images_seen: int) -> bool:
    try:
        return line.endswith(b"\n") and bool(json.loads(line)["images_seen"] <= images_seen)
    except (ValueError, KeyError, TypeError):
        return False  # the torn last line of a killed run
