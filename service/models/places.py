"""What is known of one version's directory: how it looked, and what came of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import islice

from contract.layout import ModelDirectory
from service.models.served import ServedModel

Look = tuple[object, ...]
"""How a directory looks from outside: it is other if any of its files is."""

_MOST_ENTRIES = 256
_MOST_CHARACTERS = 500
# Times, and no more, that a directory is tried while it looks the same: the first try may have come between
# two writes within a tick of the clock that files are dated by.
_TRIES = 2
_PATH = re.compile(r"(?<!\S)/\S+")


@dataclass
class Place:
    """One version's directory as it was last seen."""

    directory: ModelDirectory
    look: Look | None = None
    tries: int = 0
    model: ServedModel | None = None
    """What is served of it."""
    reason: str | None = None
    """Why it is not served, or what has become of it since."""

    @property
    def key(self) -> tuple[str, int]:
        """Its name and version."""
        return (self.directory.name, self.directory.version)

    def is_due(self, look: Look) -> bool:
        """Tell whether it should be tried, given how it looks now, and note that it is."""
        if look != self.look:
            self.look, self.tries = look, 0
        self.tries += 1
        return self.tries <= _TRIES


def look_at(directory: ModelDirectory) -> Look:
    """Return how a directory looks; raises ``OSError``."""
    own = directory.path.stat()
    with os.scandir(directory.path) as entries:
        seen = sorted((entry.name, _facts(entry)) for entry in islice(entries, _MOST_ENTRIES))
    return (own.st_dev, own.st_ino, *seen)


def _facts(entry: os.DirEntry[str]) -> tuple[int, ...]:
    status = entry.stat(follow_symlinks=False)
    return (
        status.st_mode,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_nlink,
    )


def sentence(error: Exception) -> str:
    """Return an error's text as one short line: names and messages in it come from strangers' files."""
    line = " ".join(_PATH.sub("", str(error)).split()) or type(error).__name__
    return "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line[:_MOST_CHARACTERS]
    )
