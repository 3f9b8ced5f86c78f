"""What several tests of the service share: a directory of fake models, and a service over it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from service.engine import Engine
from tests.fakes.house import House, grey
from tests.fakes.listening import QUICK, ROOMY, App, Listening, listening, running_loop
from tests.fakes.models import write_model, write_models
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


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine of one thread."""
    running = Engine("cpu", threads=1)
    yield running
    running.close()


@pytest.fixture
def house(tmp_path: Path, engine: Engine) -> House:
    """A directory of models that begins with the first version of one, and what keeps in step with it."""
    write_model(tmp_path, grey(1))
    return House(tmp_path, engine)


@pytest.fixture(params=["httptools", "h11", "httptools on asyncio"])
def loop(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop: the fast parser on both kinds, and what stands in where it is missing."""
    if request.param == "h11":
        monkeypatch.setitem(sys.modules, "service.http.protocol.on_httptools", None)
    make = asyncio.new_event_loop if "asyncio" in request.param else uvloop.new_event_loop
    with running_loop(make) as running:
        yield running


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def quick(app: App, loop: asyncio.AbstractEventLoop) -> Iterator[Listening]:
    with listening(app, loop, QUICK) as server:
        yield server


@pytest.fixture
def roomy(app: App, loop: asyncio.AbstractEventLoop) -> Iterator[Listening]:
    with listening(app, loop, ROOMY) as server:
        yield server
