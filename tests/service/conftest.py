"""What several tests of the service share: a directory of fake models, and a service over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.models import write_models
from tests.fakes.site import LocalService, local_service


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All fake models."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def service(models_dir: Path) -> Iterator[LocalService]:
    """A service over all fake models; the default is the conditional one."""
    with local_service(models_dir, default_model="grey") as running:
        yield running
