"""Models that come, go, lie and are pinned, beside the real server: it serves on, and remembers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from contract.layout import ModelDirectory
from tests.fakes.costly_graphs import COSTLY
from tests.fakes.hostile import FILES, MANIFESTS, Change, rewrite_graph
from tests.fakes.hostile_graphs import EXTERNAL, FORBIDDEN
from tests.fakes.keys import OPERATOR, bearer, operators_file
from tests.fakes.models import FakeModel, write_model
from tests.fakes.server import ServerProcess

_PATIENCE_S = 90.0


def _graph(case: tuple[Any, str]) -> tuple[Change, str]:
    change, reason = case
    return (lambda directory: rewrite_graph(directory, change)), reason


_HOSTILE: list[tuple[Change, str]] = [
    FILES["a fifo"],
    FILES["a link to elsewhere"],
    MANIFESTS["a canary that inflates"],
    _graph((EXTERNAL["absolute"], "external data")),
    _graph(FORBIDDEN["a custom operator"]),
    _graph(COSTLY["a constant of 64 GiB"]),
]


class Served:
    """The server, spoken to by its operator."""

    def __init__(self, server: ServerProcess, root: Path) -> None:
        self.server = server
        self.root = root
        self.client = httpx.Client(base_url=server.url, headers=bearer(OPERATOR), timeout=60.0)

    def add(self, version: int, change: Change = lambda directory: None) -> None:
        """Let a version of grey appear, changed before it does."""
        written = write_model(self.root / ".new", FakeModel("grey", version=version))
        rewritten = ModelDirectory(self.root / ".new", "grey", version)
        change(rewritten)
        written.path.rename(self.root / "grey" / str(version))

    def standing(self, version: int) -> dict[str, Any]:
        listed = self.client.get("/admin/models").json()["data"]
        return next((one for one in listed if one["version"] == version), {"state": "unseen"})

    def current(self) -> int:
        answer = self.client.post("/generate", json={"seed": 1})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["version"])

    def post(self, command: str) -> None:
        assert self.client.post(f"/admin/models/{command}").status_code == 200


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that looks at its models every tenth of a second."""
    root = tmp_path_factory.mktemp("grown")
    write_model(root, FakeModel("grey", version=1))
    home = tmp_path_factory.mktemp("home") / "bentoml"
    with ServerProcess(home, models_dir=root, models_poll_s=0.1, keys_file=operators_file(root)) as server:
        one = Served(server, root)
        yield one
        one.client.close()


def wait_until(holds: Callable[[], bool]) -> None:
    patience = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < patience, "it never came to be"
        time.sleep(0.05)


def test_a_version_that_appears_is_served_without_a_restart(served: Served) -> None:
    assert served.current() == 1
    served.add(2)
    wait_until(lambda: served.current() == 2)


def test_hostile_directories_are_refused_for_their_reasons_and_the_service_goes_on(served: Served) -> None:
    current = served.current()
    for number, (change, reason) in enumerate(_HOSTILE, start=20):
        served.add(number, change)
        wait_until(lambda number=number: served.standing(number)["state"] == "refused")
        assert reason in served.standing(number)["reason"]
        assert served.current() == current

    def told() -> list[str]:
        return [line for line in served.server.log().splitlines() if '"event":"request"' not in line]

    def left_out() -> int:
        return sum("is left out" in line for line in told())

    wait_until(lambda: left_out() >= len(_HOSTILE))  # lines are written a moment after what they tell of
    assert left_out() == len(_HOSTILE)
    assert len(told()) < 60


def test_a_pin_outlives_the_worker_that_was_told_of_it(served: Served) -> None:
    served.post("grey:1/pin")
    served.add(40)
    wait_until(lambda: served.standing(40)["state"] == "served")
    served.post("grey:40/unload")
    (worker,) = psutil.Process(served.server.process.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(worker.pid) or worker.status() == psutil.STATUS_ZOMBIE)

    def is_back() -> bool:
        try:
            return served.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_back)
    assert served.current() == 1
    assert served.standing(1)["pinned"]
    assert served.standing(40)["state"] == "unloaded"
    served.post("grey/unpin")
