"""What is rewritten depends on the processor; here it is one for which everything is."""

from __future__ import annotations

import platform

import pytest


@pytest.fixture(autouse=True)
def an_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
