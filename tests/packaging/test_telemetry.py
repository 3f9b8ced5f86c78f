"""Libraries that report to their makers are kept from it before they are loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOAD = """
import os, {package}, onnxruntime
onnxruntime.SessionOptions()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
SHOW = "import os, {package}; print(os.environ['ORT_DISABLE_TELEMETRY'])"


def run_python(program: str, home: Path, **variables: str) -> str:
    """Run a program as on a machine that is no build server, where nothing is reported anyway."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("package", ["service.engine", "training.export.graph"])
def test_onnx_runtime_reports_nothing(package: str, tmp_path: Path) -> None:
    """It finds its switch set when it is loaded: neither an identifier nor a cache appears in HOME."""
    assert run_python(LOAD.format(package=package), tmp_path) == "1"
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path)]


@pytest.mark.parametrize("package", ["service", "training"])
def test_whoever_wants_reports_may_have_them(package: str, tmp_path: Path) -> None:
    """What is set already is kept. Nothing is loaded here that would report."""
    assert run_python(SHOW.format(package=package), tmp_path, ORT_DISABLE_TELEMETRY="0") == "0"
