"""Every snippet of the tutorial and of the package's README runs against the real service and its models."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forger import Client, verify
from tests.fakes.keys import OPERATOR, operators_file
from tests.fakes.server import ROOT, ServerProcess, environment

pytestmark = pytest.mark.slow

# The tutorial's numbers of images are the reader's; the test draws fewer.
SMALLER = {"50_000": "120", "50000": "120"}
# Not run: how the package is installed is another test's affair (test_wheel).
NOT_RUN = {"pip install"}
# The address that a reader starts the service at.
ADDRESS = "http://localhost:3000"

TUTORIAL = ROOT / "docs/client.md"
README = ROOT / "sdk/README.md"


def snippets(page: Path) -> list[tuple[str, str]]:
    """Return the language and text of each snippet of a page, in order."""
    return re.findall(r"^```(python|sh)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The service with the models that it ships with; it asks for keys, so that operators are heard."""
    folder = tmp_path_factory.mktemp("tutorial")
    keys = operators_file(folder)
    with ServerProcess(folder / "home", models_dir=ROOT / "models", threads=2, keys_file=keys) as running:
        yield running


@pytest.fixture
def shell(service: ServerProcess, tmp_path: Path) -> dict[str, str]:
    """The environment of a reader: a command ``forger``, the address, and an operator's key."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "forger").write_text(
        f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'from forger.cli.main import main; main()' "
        '"$@"\n'
    )
    (commands / "forger").chmod(0o755)
    return environment(tmp_path / "home") | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "sdk/src"),
        "FORGER_URL": service.url,
        "FORGER_API_KEY": OPERATOR,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "error::DeprecationWarning:forger",
    }


def smaller(text: str, url: str) -> str:
    for number, fewer in SMALLER.items():
        text = text.replace(number, fewer)
    return text.replace(ADDRESS, url)


def run(command: list[str], folder: Path, shell: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=shell, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", [TUTORIAL, README], ids=lambda page: page.parent.name)
def test_the_pages_python_runs_from_top_to_bottom(
    page: Path, service: ServerProcess, shell: dict[str, str], tmp_path: Path
) -> None:
    text = "\n".join(code for language, code in snippets(page) if language == "python")
    assert text.count("\n") > 5
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "page.py").write_text(smaller(text, service.url))
    told = run([sys.executable, str(tmp_path / "page.py")], out, shell)
    if page == TUTORIAL:
        assert "(28, 28, 1) 42 0 three" in told
        assert "True True" in told
        assert "120 True sha256:" in told
        assert "digits:1 served None" in told
        assert told.endswith("\n1\n2\nserved\n")
        assert {path.name for path in out.iterdir()} >= {
            "three.png",
            "grid.png",
            "sum.png",
            "walk.webp",
            "digits",
        }
        assert verify(out / "digits").images == 120
    else:
        assert verify(out / "digits.npz").images == 120


@pytest.mark.parametrize("page", [TUTORIAL, README], ids=lambda page: page.parent.name)
def test_the_pages_commands_run_one_after_the_other(
    page: Path, service: ServerProcess, shell: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    lines = [line for language, text in snippets(page) if language == "sh" for line in text.splitlines()]
    commands = [line for line in lines if not any(line.startswith(one) for one in NOT_RUN)]
    assert len(commands) >= 4
    assert all(line.startswith("forger ") for line in commands)
    for command in commands:
        assert run(["/bin/sh", "-ec", smaller(command, service.url)], out, shell), command


def test_the_tutorial_says_what_is_so(service: ServerProcess) -> None:
    """The shapes and links that its comments tell."""
    with Client(service.url, api_key=OPERATOR) as client:
        assert client.generate(100, seed=42, class_label="balanced").array.shape == (100, 28, 28, 1)
        assert client.generate(4, seed=42, class_label="balanced").labels.tolist() == [0, 1, 2, 3]
        assert client.link(42, 0, class_label="three").endswith("/images/mnist/42/0.png?class=three")
