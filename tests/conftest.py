"""Settings for all tests: no test depends on wall-clock speed."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("forger", deadline=None)
settings.load_profile("forger")
