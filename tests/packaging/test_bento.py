"""The bento builds without a network and can be served: code, models and pins are in it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = {
    # An address of this machine at which nothing listens: whoever asks the network fails at once.
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "PIP_NO_INDEX": "1",
    "UV_OFFLINE": "1",
    "BENTOML_DO_NOT_TRACK": "True",
}


def run_python(*arguments: str, home: Path, folder: Path) -> str:
    """Run Python on the arguments, away from the network; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORGER_")}
    environment |= OFFLINE | {"BENTOML_HOME": str(home), "PROMETHEUS_MULTIPROC_DIR": str(home)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def digests(folder: Path, pattern: str) -> dict[str, str]:
    """Return the sha256 of every file below a folder, by its path in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the bento into a store of its own; returns its folder."""
    home = tmp_path_factory.mktemp("bentoml")
    run_python("-m", "bentoml", "build", "--version", "test", home=home, folder=ROOT)
    return home / "bentos" / "forger" / "test"


def test_the_bento_holds_the_models_as_they_are(bento: Path) -> None:
    """Every file of models/, byte for byte, and at least one model."""
    models = digests(ROOT / "models", "*")
    assert digests(bento / "src" / "models", "*") == models
    assert [name for name in models if name.endswith("generator.onnx")]


def test_the_bento_holds_the_code_it_runs_and_no_other(bento: Path) -> None:
    """The service and the contract are whole; training, tests and tools stay out."""
    for package in ("service", "contract"):
        assert digests(bento / "src" / package, "*.py") == digests(ROOT / package, "*.py")
    assert {path.parent.name for path in (bento / "src").glob("*/*.py")} == {"service", "contract"}


def test_the_bento_imports_its_own_service(bento: Path, tmp_path: Path) -> None:
    """The service is found in the bento's folder, and its contract beside it."""
    code = "import contract, service.app as app; print(app.__file__, contract.__file__, app.Forger.name)"
    printed = run_python("-c", code, home=tmp_path, folder=bento / "src").split()
    expected = [str(bento / "src" / "service" / "app.py"), str(bento / "src" / "contract" / "__init__.py")]
    assert printed[-3:] == [*expected, "Forger"]


def test_the_bento_installs_the_pins(bento: Path) -> None:
    """What its image will install is the pinned list, with BentoML itself as it is here."""

    def pins(path: Path) -> set[str]:
        lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
        return {str(Requirement(line)) for line in lines if line}

    assert pins(bento / "env" / "python" / "requirements.txt") == pins(ROOT / "bento-requirements.txt")
