"""A folder of image files: one class a subfolder, or no classes where the images lie directly in it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from training.data.findings import some_of
from training.data.labels import class_name
from training.data.source import Contents, Item, file_identity, open_file
from training.errors import DataError

_LEFTOVERS = {"__MACOSX", "Thumbs.db", "desktop.ini"}
"""What operating systems leave in folders; like hidden files, they are nobody's images."""
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing", "eval"}


def is_visible(path: Path, folder: Path) -> bool:
    """Whether neither the path nor a folder between is hidden or an operating system's leftover."""
    parts = path.relative_to(folder).parts
    return not any(part.startswith(".") or part in _LEFTOVERS for part in parts)


def visible_files(folder: Path) -> list[Path]:
    """Return every visible file below a folder, in the order of the parts of their paths."""
    found = [path for path in folder.rglob("*") if path.is_file() and is_visible(path, folder)]
    return sorted(found, key=lambda path: in_order(path.relative_to(folder)))


def in_order(path: Path) -> tuple[str, ...]:
    """Return what paths are ordered by: their parts, in the one spelling that all machines agree on."""
    return tuple(unicodedata.normalize("NFC", part) for part in path.parts)


def looks_like_image(path: Path) -> bool:
    """Whether the file's name ends as images' names do."""
    return path.suffix.lower() in Image.registered_extensions()


@dataclass(frozen=True)
class FolderSource:
    """The images of ``folder``, labelled by the subfolders they lie in."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def kind(self) -> str:
        """What the folder looks like."""
        return "a folder of class subfolders" if self._class_folders() else "a folder of images, no classes"

    def identity(self) -> list[object]:
        """Return every file with its size and time of change, and the classes' names."""
        contents = self.contents()
        files = [path for _, members in self._members() for path in members]
        return [contents.class_names, [file_identity(path) for path in files]]

    def contents(self) -> Contents:
        """Return the images; raises ``DataError`` for a folder that cannot be laid out as classes."""
        members = self._members()
        names = None
        if self._class_folders():
            names = tuple(class_name(group, "class folder") for group, _ in members)
        items = [
            Item(str(path), None if names is None else label, partial(open_file, path))
            for label, (_, files) in enumerate(members)
            for path in files
        ]
        if names is None:
            return Contents(items, None, (self._one_level_too_low(),))
        loose = [path.name for path in self._visible() if path.is_file()]
        notes = (f"not in a class folder, so left aside: {some_of(loose)}",) if loose else ()
        return Contents(items, names, notes)

    def _visible(self) -> list[Path]:
        found = [path for path in self.folder.iterdir() if is_visible(path, self.folder)]
        return sorted(found, key=in_order)

    def _class_folders(self) -> list[Path]:
        return [path for path in self._visible() if path.is_dir()]

    def _members(self) -> list[tuple[str, list[Path]]]:
        """Return each class folder's name and files; without class folders, one group of all files."""
        folders = self._class_folders()
        loose = [path for path in self._visible() if path.is_file()]
        if not folders:
            if not loose:
                raise DataError(f"{self.folder} is empty: it holds no readable image file")
            return [(self.name, loose)]
        self._check_layout(folders, loose)
        members = [(folder.name, visible_files(folder)) for folder in folders]
        for name, files in members:
            if not files:
                raise DataError(f"the class folder {name!r} holds no file; remove it or fill it")
        return members

    def _check_layout(self, folders: list[Path], loose: list[Path]) -> None:
        """Raise ``DataError`` where the subfolders can hardly be meant as the classes."""
        pictures = [path.name for path in loose if looks_like_image(path)]
        if pictures:
            raise DataError(
                f"{self.folder} holds images beside class folders ({some_of(pictures)}; "
                f"{some_of([folder.name for folder in folders])}): move them into a class folder, or all "
                "images into one folder to train without classes"
            )
        if len(folders) == 1:
            raise DataError(
                f"there is a single class folder, {folders[0].name!r}: give that folder itself as --data "
                f"({folders[0]}) to train {_on_what(folders[0])}, or the folder above it that holds all the "
                "classes"
            )
        if all(folder.name.lower() in _PARTS for folder in folders):
            raise DataError(
                f"the subfolders {some_of([folder.name for folder in folders])} are parts of a data set, not "
                f"classes: give one of them as --data, such as {folders[0]}; a fifth is held out anyway"
            )

    def _one_level_too_low(self) -> str:
        above = self.folder.resolve().parent
        return (
            "there are no subfolders, so there are no classes; if this folder is one class of several, "
            f"give the folder above it as --data ({above})"
        )


def _on_what(folder: Path) -> str:
    """Say what a folder that was found alone holds, so that the advice fits it."""
    holds_folders = any(path.is_dir() and is_visible(path, folder) for path in folder.iterdir())
    return "on the classes in it" if holds_folders else "without classes"
