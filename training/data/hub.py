"""Data sets of the hub by name, fetched and kept by the ``datasets`` library.

``hub:owner/name`` takes the split ``train``; ``hub:owner/name#configuration@revision:split`` says all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.config import FolderOptions
from training.data.source import Contents
from training.data.table import Table, require_library
from training.errors import DataError

PREFIX = "hub:"

_PART = r"[A-Za-z0-9][\w.\-]*"
_NAME = re.compile(
    rf"(?P<name>{_PART}(/{_PART})?)(#(?P<configuration>[\w.\-]+))?(@(?P<revision>[\w./\-]+))?"
    r"(:(?P<split>[\w.\-+\[\]:%]+))?"
)
_DEFAULT_SPLIT = "train"


@dataclass(frozen=True)
class HubSource:
    """A data set by the name it has on the hub.

    What was read is kept under that name, so a second run asks nobody; a revision pins what it means.
    """

    path: str
    configuration: str | None
    revision: str | None
    split: str
    options: FolderOptions

    kind = "a data set of the hub"

    @property
    def name(self) -> str:
        """The data set's name on the hub."""
        return self.path

    def identity(self) -> list[object]:
        """Return all that was given, since only the hub knows more."""
        return [self.path, self.configuration, self.revision, self.split]

    def contents(self) -> Contents:
        """Fetch what is not there yet, and return the images in the order of the rows."""
        library = require_library()
        try:
            rows = library.load_dataset(
                self.path, self.configuration, split=self.split, revision=self.revision
            )
        except (OSError, ValueError, RuntimeError, LookupError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{PREFIX}{self.path} cannot be loaded: {reason}") from error
        return Table(rows, f"{self.path}:{self.split}", self.options).contents()


def hub_source(text: str, options: FolderOptions) -> HubSource:
    """Return the source that ``hub:...`` names; raises ``DataError`` for another form."""
    match = _NAME.fullmatch(text.removeprefix(PREFIX))
    if match is None:
        raise DataError(
            f"--data {text!r} is no name on the hub: {PREFIX}owner/name, {PREFIX}owner/name:split, or "
            f"{PREFIX}owner/name#configuration@revision:split is meant"
        )
    split = match["split"] or _DEFAULT_SPLIT
    return HubSource(match["name"], match["configuration"], match["revision"], split, options)
