"""The real service in a process of its own, started as an operator starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0
_NOTHING: Mapping[str, str] = {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "service", "--host", "127.0.0.1", "--port", str(port)]


def environment(home: Path, **settings: object) -> dict[str, str]:
    """Return this process's environment, with the settings and a home of the server's own."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("FORGER_", "BENTOML_", "PROMETHEUS_", "COVERAGE"))
    }
    home.mkdir(parents=True, exist_ok=True)
    return {
        **inherited,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        **{f"FORGER_{name.upper()}": str(value) for name, value in settings.items()},
    }


class ServerProcess:
    """A server on a free port of the loopback; use it in a ``with`` statement."""

    def __init__(self, home: Path, *, surroundings: Mapping[str, str] = _NOTHING, **settings: object) -> None:
        """``surroundings`` are variables of the environment that are no settings."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (home.parent / f"{home.name}.log").open("w+")
        self.process = subprocess.Popen(
            command(self.port), env={**environment(home, **settings), **surroundings}, cwd=ROOT,
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        patience = time.monotonic() + _START_S
        while time.monotonic() < patience:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.log()}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=1.0).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"the server is not ready:\n{self.log()}")

    def log(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text()

    def terminate(self) -> None:
        """Ask the server to stop, as an operator does."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(60)
        finally:
            self._log.close()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60.0)

    def generate(self, body: object, accept: str = "application/json") -> Any:
        response = httpx.post(f"{self.url}/generate", json=body, headers={"accept": accept}, timeout=60.0)
        assert response.status_code == 200, response.text
        return response
