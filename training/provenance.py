"""Where a model comes from: versions of the libraries and of the source."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from training.config import Provenance

_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")
_SOURCE = Path(__file__).resolve().parents[1]


def begun_with() -> Provenance:
    """Return what a run that begins now is begun with."""
    return Provenance(source_commit=source_commit(), library_versions=library_versions())


def library_versions() -> dict[str, str]:
    """Return the versions that bear on the result, Python's among them."""
    versions = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except ModuleNotFoundError:  # one build of ONNX Runtime is called onnxruntime-gpu
            versions[name] = version(f"{name}-gpu")
    return versions


def source_commit() -> str | None:
    """Return the source's git commit, marked ``+changes`` if files differ from it; None outside git."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*arguments: str) -> str | None:
        result = subprocess.run(  # noqa: S603 - fixed arguments
            [git, "-C", str(_SOURCE), *arguments], capture_output=True, text=True, check=False
        )
        return result.stdout.strip() if result.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = ask("status", "--porcelain", "--untracked-files=no", "--", "training", "contract")
    return f"{commit}+changes" if changed else commit
