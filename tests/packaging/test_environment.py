"""tools/environment: an environment is complete or it is made anew, and two builds never meet in one.

The tool runs on a small project of its own, whose build backend needs no network.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = '''
"""Builds an empty wheel, unless the file `broken` is there."""
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    assert not pathlib.Path("broken").exists()
    with zipfile.ZipFile(pathlib.Path(folder, "sample-1-py3-none-any.whl"), "w") as wheel:
        info = "sample-1.dist-info/"
        extras = "Provides-Extra: cpu\\nProvides-Extra: gpu\\n"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: sample\\nVersion: 1\\n" + extras)
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return "sample-1-py3-none-any.whl"
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a small project in which the tool can run."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "constraints.txt").touch()
    return tmp_path


def make_environment(
    project: Path, accelerator: str = "cpu", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the tool in the project on this Python (or on what the variables say)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PYTHON": sys.executable, "PIP_NO_INDEX": "1"} | variables
    return subprocess.run(
        [ROOT / "tools" / "environment", ".venv", accelerator],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def install_by_hand(project: Path, name: str) -> None:
    """Put a distribution of that name into the project's environment."""
    (library,) = (project / ".venv" / "lib").glob("python*/site-packages")
    folder = library / f"{name.replace('-', '_')}-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")


def test_an_environment_is_kept_until_it_is_unfinished_or_holds_the_other_build(project: Path) -> None:
    """One after the other, since each environment takes seconds to make."""
    venv = project / ".venv"
    token = venv / "token"

    assert make_environment(project).returncode == 0
    assert (venv / ".ready-cpu").exists()
    assert not (venv / ".unfinished").exists()

    token.touch()
    install_by_hand(project, "onnxruntime")
    assert make_environment(project).returncode == 0
    assert token.exists(), "a sound environment is kept"

    (venv / ".unfinished").touch()
    assert make_environment(project).returncode == 0
    assert not token.exists(), "an interrupted installation is made anew"

    install_by_hand(project, "onnxruntime")
    done = make_environment(project, "gpu")
    assert done.returncode == 0, done.stderr
    assert not list(venv.glob("lib/python*/site-packages/onnxruntime-*")), "the CPU build is gone"
    assert sorted(path.name for path in venv.glob(".ready-*")) == [".ready-gpu"]


def test_a_failed_installation_is_not_taken_for_a_complete_one(project: Path) -> None:
    """It fails loudly, leaves no stamp, and the next call starts anew."""
    (project / "broken").touch()
    done = make_environment(project)
    assert done.returncode != 0
    assert "failed" in done.stderr
    assert not list((project / ".venv").glob(".ready-*"))
    assert (project / ".venv" / ".unfinished").exists()


@pytest.mark.parametrize("version", ["Python 3.10.13", "Python 2.7.18"])
def test_a_python_that_is_too_old_is_named(project: Path, version: str) -> None:
    """The message says what is needed, what was found and how to name another."""
    old = project / "python-old"
    old.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version}\n')
    old.chmod(0o755)
    done = make_environment(project, PYTHON=str(old))
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert version in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (project / ".venv").exists()


def test_a_machine_without_python_is_told_so(project: Path) -> None:
    """Nothing is made, and the reason is not a stack trace."""
    commands = project / "bin"
    commands.mkdir()
    for name in ("sh", "rm", "mkdir"):
        (commands / name).symlink_to(shutil.which(name) or "")
    done = make_environment(project, PYTHON="", PATH=str(commands))
    assert done.returncode != 0
    assert "no Python" in done.stderr


def test_an_unknown_accelerator_is_refused(project: Path) -> None:
    """A slip of the fingers does not install half of what is needed."""
    done = make_environment(project, "cuda")
    assert done.returncode != 0
    assert "cpu or gpu" in done.stderr
