"""The table of settings, ``docs/settings.md``, made of the settings themselves.

python -m service.settings_table > docs/settings.md
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic.fields import FieldInfo

from service.settings import PREFIX, Settings

_PREAMBLE = """# Settings

Environment variables, read once at the start. One that is no setting, of the wrong type or out of range stops
the start with exit status 1, naming the variable and what is allowed. This page is made of the code
(`make docs`); a test fails where it differs.

| variable | type | default | allowed | meaning |
|---|---|---|---|---|
"""

_TYPES = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    Path: "path",
    tuple: "list",
}


def settings_page() -> str:
    """Return the page, in Markdown: a row a setting, in the order of the code."""
    return _PREAMBLE + "".join(f"{row}\n" for row in _rows())


def _rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        cells = (
            f"`{PREFIX}{name.upper()}`",
            _type(field.annotation),
            _default(field),
            field.description or "",
            field.title or "",
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(annotation: Any) -> str:  # noqa: ANN401 - any annotation of a field
    """Return what a value is, in a word or two; None beside a type only means that there is no default."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return "choice"
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return " or ".join(dict.fromkeys(_type(kind) for kind in kinds))
    kind = origin or annotation
    return next((word for known, word in _TYPES.items() if kind is known), "text")


def _default(field: FieldInfo) -> str:
    """Return the default as it would be written; what depends on the machine is told by the meaning."""
    if field.is_required():
        return "must be set"
    value = field.default
    if field.default_factory is not None or isinstance(value, Path):
        return "see meaning"
    if value is None or value in ("", (), frozenset()):
        return "none"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
