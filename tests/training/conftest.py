"""What the tests of training share: a cache, small data sets, quick recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of decoded data and classifiers that lasts for the whole test run."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)
