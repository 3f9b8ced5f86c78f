"""The wheel, installed where nothing else is: it works, it is typed, and it brings nothing of the service."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fakes.server import ROOT, ServerProcess

pytestmark = pytest.mark.slow

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
SERVER_PACKAGES = {
    "service",
    "training",
    "contract",
    "torch",
    "bentoml",
    "onnx",
    "onnxruntime",
    "starlette",
    "pydantic",
}
IMPORTED = (
    "import forger, forger.cli.main, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy of the sources by the backend that they name."""
    import shutil

    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(
        ROOT / "sdk", folder / "sdk", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    )
    subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=source, check=True, capture_output=True, timeout=120
    )
    (wheel,) = folder.glob("forger_client-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that holds the wheel and what it asks for, from the index."""
    place = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=120)
    commands = place / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(commands / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        pytest.fail(
            f"the wheel cannot be installed: pip needs an index (PIP_INDEX_URL), and says\n{done.stderr}"
        )
    return commands


def run(command: list[str], folder: Path, **settings: str) -> str:
    """Run where no checkout is on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FORGER_"))}
    done = subprocess.run(
        command, cwd=folder, env=kept | settings, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "forger/py.typed" in names
    sources = {
        path.relative_to(ROOT / "sdk/src").as_posix() for path in (ROOT / "sdk/src/forger").rglob("*.py")
    }
    packed = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    assert packed == sources | {"forger/py.typed"}


def test_it_imports_nothing_of_the_service(installed: Path, tmp_path: Path) -> None:
    found = set(run([str(installed / "python"), "-c", IMPORTED], tmp_path).split())
    assert {"forger", "httpx", "numpy"} <= found
    assert found & SERVER_PACKAGES == set()


def test_the_command_is_there(installed: Path, tmp_path: Path) -> None:
    import forger

    assert run([str(installed / "forger"), "--version"], tmp_path) == f"forger-client {forger.__version__}"


def test_the_versions_agree(installed: Path, tmp_path: Path) -> None:
    import forger

    told = "import importlib.metadata as told; print(told.version('forger-client'))"
    assert run([str(installed / "python"), "-c", told], tmp_path) == forger.__version__


def test_it_draws_and_fills_sinks(installed: Path, server: ServerProcess, tmp_path: Path) -> None:
    """With its core dependencies alone; parquet says which extra it needs."""
    forger = str(installed / "forger")
    run([forger, "sample", "--seed", "1", "-o", "a.png"], tmp_path, FORGER_URL=server.url)
    for sink in ("npz:o.npz", "folder:o/", "wds:w/%03d.tar", "zip:o.zip"):
        run([forger, "--url", server.url, "bulk", "-n", "20", "--sink", sink], tmp_path)
    for place in ("o.npz", "o", "w", "o.zip"):
        assert "sound" in run([forger, "verify", place], tmp_path)
    done = subprocess.run(
        [forger, "--url", server.url, "bulk", "-n", "20", "--sink", "parquet:p"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "forger-client[parquet]" in done.stderr
