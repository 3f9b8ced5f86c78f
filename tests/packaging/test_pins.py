"""The pins are whole: whatever an installation can ask for has one exact version in constraints.txt."""

import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def read_pins(path: Path) -> dict[str, str]:
    """Return the version pinned for each package; every line must be an exact pin."""
    pins = {}
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{text} is no exact pin"
        assert specifier.version.count("+") == 0, f"{text} names a local build"
        assert pins.setdefault(canonicalize_name(requirement.name), specifier.version) == specifier.version
    return pins


PINS = read_pins(ROOT / "constraints.txt")
BENTO_PINS = read_pins(ROOT / "bento-requirements.txt")


def needed_packages(requirements: list[str]) -> Iterator[str]:
    """Yield every package that the requirements bring in here, as far as it is installed."""
    waiting = [Requirement(text) for text in requirements]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        wanted = (name, *sorted(requirement.extras))
        if wanted in seen:
            continue
        seen.add(wanted)
        yield name
        try:
            texts = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for further in map(Requirement, texts):
            environments = [{"extra": extra} for extra in ("", *requirement.extras)]
            if further.marker is None or any(further.marker.evaluate(env) for env in environments):
                waiting.append(further)


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_requirement_is_pinned_within_its_range(extra: str) -> None:
    """`make lock` was run after the last change of the requirements."""
    for text in PROJECT["dependencies"] + EXTRAS[extra]:
        requirement = Requirement(text)
        pin = PINS.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{text} is not pinned: make lock"
        assert requirement.specifier.contains(pin), f"{text} is pinned to {pin}: make lock"


def test_every_package_that_an_installation_brings_in_is_pinned() -> None:
    """Nothing floats, however deep it is asked for."""
    requirements = PROJECT["dependencies"] + [text for texts in EXTRAS.values() for text in texts]
    assert set(needed_packages(requirements)) - set(PINS) == set()


def test_both_builds_of_onnx_runtime_are_of_one_version() -> None:
    """A model that passed its canaries on one build is served by the same release of the other."""
    assert PINS["onnxruntime"] == PINS["onnxruntime-gpu"]


def test_the_bento_installs_the_service_from_the_same_pins() -> None:
    """The bento's requirements are the constraints' own, hold the service's needs, and no training."""
    assert {name: PINS[name] for name in BENTO_PINS} == BENTO_PINS
    needed = set(needed_packages(PROJECT["dependencies"] + EXTRAS["gpu"]))
    assert needed - set(BENTO_PINS) == set()
    assert set(BENTO_PINS) & {"torch", "onnxruntime", "onnxscript", "mlxtend", "pytest"} == set()
