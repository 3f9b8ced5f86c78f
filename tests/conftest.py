"""Settings for all tests: no test depends on wall-clock speed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("forger", deadline=None)
settings.load_profile("forger")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of decoded data and classifiers that lasts for the whole test run."""
    return tmp_path_factory.mktemp("cache")
