"""Keys on the real server: made while it runs, revoked while it runs, and nowhere in its log."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from service.access.changing import remove_entry
from tests.fakes.keys import bearer, new_key
from tests.fakes.server import ServerProcess, command, environment, free_port

_PATIENCE_S = 30.0


def until(happens: Callable[[], bool]) -> None:
    patience = time.monotonic() + _PATIENCE_S
    while not happens():
        assert time.monotonic() < patience
        time.sleep(0.1)


def test_keys_come_and_go_while_the_server_runs(served_models: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    alice = new_key(file, "alice", "generate", requests="3/day")
    settings = {"models_dir": served_models, "default_model": "grey", "keys_file": file}
    with ServerProcess(tmp_path / "home", **settings) as server, server.client() as client:

        def status(key: str, path: str = "/models") -> int:
            return client.get(path, headers=bearer(key)).status_code

        answers = [client.post("/generate", json={}, headers=bearer(alice)) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["ratelimit"].startswith('"requests";r=0;t=')
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code == 401
        scraper = new_key(file, "scraper", "metrics")
        until(lambda: status(scraper, "/metrics") == 200)
        assert status(scraper) == 403
        remove_entry(file, "alice")
        until(lambda: status(alice) == 401)
        log = server.log()
    assert "the keys were read again" in log
    for key in (alice, scraper):
        assert key.split("_", 2)[2] not in log


def test_a_broken_file_of_keys_stops_the_start(served_models: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    new_key(file, "alice", "generate")
    file.write_text(file.read_text() + '{"id": "bob", "key": "hunter2-hunter2-hunter2"}\n')
    environ = environment(tmp_path / "home", models_dir=served_models, keys_file=file)
    result = subprocess.run(
        command(free_port()), env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode != 0
    assert f"FORGER_KEYS_FILE={file}, line 2: " in result.stderr
    assert "allowed: " in result.stderr
    assert "hunter2" not in result.stderr + result.stdout
    assert "Traceback" not in result.stderr
