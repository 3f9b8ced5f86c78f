"""Where the tests' bulk runs write to, and what lies there."""

from __future__ import annotations

from pathlib import Path

SINKS = {
    "folder": "folder:{}/out",
    "npz": "npz:{}/out.npz",
    "wds": "wds:{}/out/%03d.tar",
    "parquet": "parquet:{}/out",
    "zip": "zip:{}/out.zip",
}


def sink_in(kind: str, folder: Path) -> str:
    """Return the sink of a kind in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return SINKS[kind].format(folder)


def place_in(kind: str, folder: Path) -> Path:
    """Return what ``verify`` looks at."""
    return folder / {"npz": "out.npz", "zip": "out.zip"}.get(kind, "out")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } | {path.relative_to(folder).as_posix() + "/": b"" for path in folder.rglob("*") if path.is_dir()}
