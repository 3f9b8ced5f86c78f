"""The project's own wheel carries its requirements and no code: `service` is nobody's package name."""

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERIC = {"contract", "models", "service", "tests", "tools", "training"}


def test_the_wheel_holds_no_package(tmp_path: Path) -> None:
    """A wheel built from the checkout, its packages beside it, holds metadata only."""
    source = tmp_path / "source"
    for name in GENERIC:
        (source / name).mkdir(parents=True)
        (source / name / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True, timeout=120
    )
    (wheel,) = tmp_path.glob("forger-*.whl")
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {wheel.name.replace("-py3-none-any.whl", ".dist-info")}


def test_no_installed_package_takes_a_generic_name_in_the_projects_name() -> None:
    """Site-packages hold no `service`, `training` or `contract` that came with the project."""
    owners = importlib.metadata.packages_distributions()
    assert {name for name in GENERIC if "forger" in owners.get(name, [])} == set()
