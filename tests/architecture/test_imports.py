"""The rules between modules that import-linter cannot see: what happens when the service is imported."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICE_FILES = sorted((ROOT / "service").rglob("*.py"))

WITHOUT_TRAINING = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise AssertionError("the service imported " + name)
        return None

sys.meta_path.insert(0, Refuse())
import service.app
assert service.app.Forger
print(sorted(set(sys.modules) & {refused!r}))
"""


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the checkout."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages that a file imports anywhere, inside functions too."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            packages.add((node.module or "").partition(".")[0])
    return packages


def test_the_service_imports_where_neither_torch_nor_training_can_be_imported(tmp_path: Path) -> None:
    """Importing the service leaves torch, and all that only training needs, out of the process."""
    refused = {"torch", "training", "onnxscript", "mlxtend", "sklearn", "scipy", "tensorboard", "tqdm"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORGER_")}
    environment |= {
        "BENTOML_HOME": str(tmp_path / "home"),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRAINING.format(refused=refused)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["[]"]), done.stderr


@pytest.mark.parametrize(
    ("package", "owner"),
    [("onnxruntime", "service.engine."), ("bentoml", "service.app")],
)
def test_one_place_of_the_service_imports_it(package: str, owner: str) -> None:
    """ONNX Runtime is behind the engine, BentoML behind the composition root, also inside functions."""
    importers = [module_name(path) for path in SERVICE_FILES if package in imported_packages(path)]
    assert importers
    assert all(name.startswith(owner) for name in importers)
