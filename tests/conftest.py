"""Settings for all tests: no test depends on wall-clock speed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("forger", deadline=None)
settings.load_profile("forger")

# A shell without a terminal starts background jobs deaf to Ctrl-C, and nohup to SIGHUP; all that tests start
# would be deaf too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of decoded data and classifiers that lasts for the whole test run."""
    return tmp_path_factory.mktemp("cache")
