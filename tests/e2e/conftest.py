"""A real server over the fake models, shared by the tests that do not end it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.models import write_models
from tests.fakes.server import ServerProcess


@pytest.fixture(scope="session")
def served_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All fake models."""
    return write_models(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def server(served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The service, running; its default model is the conditional one."""
    home = tmp_path_factory.mktemp("server") / "home"
    with ServerProcess(home, models_dir=served_models, default_model="grey", threads=2) as running:
        yield running
