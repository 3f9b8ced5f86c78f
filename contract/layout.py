"""Where things lie in a directory of models: the only place that spells ``<name>/<version>/``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

GENERATOR_FILE = "generator.onnx"
FLOAT16_FILE = "generator.fp16.onnx"
"""The same generator, computed in float16; not every model has it."""
MANIFEST_FILE = "manifest.json"
PREVIEW_FILE = "preview.png"

NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"
"""Model names: lower-case letters, digits, dots, underscores, hyphens; 1 to 64 characters."""

_NAME = re.compile(NAME_PATTERN)
_VERSION = re.compile(r"^[1-9][0-9]{0,8}$")


@dataclass(frozen=True, order=True)
class ModelDirectory:
    """One version of one model: ``root/name/version``."""

    root: Path
    name: str
    version: int

    @property
    def path(self) -> Path:
        """The directory itself."""
        return self.root / self.name / str(self.version)

    @property
    def generator(self) -> Path:
        """The ONNX file."""
        return self.path / GENERATOR_FILE

    @property
    def manifest(self) -> Path:
        """The manifest, JSON."""
        return self.path / MANIFEST_FILE

    @property
    def preview(self) -> Path:
        """A picture of what the model draws."""
        return self.path / PREVIEW_FILE


def is_model_name(text: str) -> bool:
    """Tell whether the text may name a model."""
    return _NAME.fullmatch(text) is not None


def parse_version(text: str) -> int | None:
    """Return the version that a directory's name or a reference spells, or None if it spells none."""
    return int(text) if _VERSION.fullmatch(text) else None


def model_directories(
    root: Path, unreadable: Callable[[str, OSError], object] | None = None
) -> Iterator[ModelDirectory]:
    """Yield every model directory under ``root``, by name and then by rising version.

    Directories whose name is no model name or no version (half-written siblings, hidden folders)
    are passed over; whether the contents are sound is the manifest's and the service's matter.
    Raises ``OSError`` if a folder cannot be read; ``unreadable`` is told of a model's name instead, and why
    its folder cannot be.
    """
    if not root.is_dir():
        return
    found: list[ModelDirectory] = []
    for model in root.iterdir():
        if is_model_name(model.name):
            try:
                found += _versions(root, model)
            except FileNotFoundError:
                continue  # it went in this very moment
            except OSError as error:
                if unreadable is None:
                    raise
                unreadable(model.name, error)
    yield from sorted(found)


def _versions(root: Path, model: Path) -> list[ModelDirectory]:
    if not model.is_dir():
        return []
    numbers = {candidate: parse_version(candidate.name) for candidate in model.iterdir()}
    return [
        ModelDirectory(root, model.name, number)
        for candidate, number in numbers.items()
        if number is not None and candidate.is_dir()
    ]


def next_version(root: Path, name: str) -> int:
    """Return the version that a new export of ``name`` gets: one above the highest there is."""
    versions = [entry.version for entry in model_directories(root) if entry.name == name]
    return max(versions, default=0) + 1
