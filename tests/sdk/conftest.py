"""A real server over the fake models, for the client's tests that do not end it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forger import Client
from tests.fakes.models import ALL, PATCHY, write_models
from tests.fakes.server import ServerProcess


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tester's own shell has set is not the tests' affair."""
    for name in ("FORGER_URL", "FORGER_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The service, running; its default model is the conditional one."""
    models = write_models(tmp_path_factory.mktemp("sdk-models"), (*ALL, PATCHY))
    home = tmp_path_factory.mktemp("sdk-server") / "home"
    with ServerProcess(home, models_dir=models, default_model="grey", threads=2) as running:
        yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    """A client of that server."""
    with Client(server.url) as client:
        yield client
