"""The real server's log: JSON lines of everybody in it, and no reader of it can stop the service."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import httpx

from tests.fakes.server import ROOT, ServerProcess, command, environment, free_port

_PATIENCE_S = 60.0


def test_every_line_is_json_from_the_start_to_the_end(served_models: Path, tmp_path: Path) -> None:
    """BentoML's own lines, lifecycle, requests, whatever they hold."""
    with ServerProcess(tmp_path / "home", models_dir=served_models, default_model="grey") as server:
        server.generate({"seed": 3})
        httpx.post(f"{server.url}/generate", json={"model": "\n{}\n"}, headers={"x-request-id": "r-2"})
        server.terminate()
        assert server.process.wait(60) == 0
        lines = [json.loads(line) for line in server.log().splitlines()]
    events = [line["event"] for line in lines]
    for event in ("model-loaded", "ready", "request", "draining", "stopped"):
        assert event in events
    drawn = [line for line in lines if line.get("route") == "/generate"]
    assert [(line["status"], line.get("seed")) for line in drawn] == [(200, 3), (404, None)]
    assert drawn[1]["request_id"] == "r-2"
    assert any(line["logger"].startswith("bentoml") for line in lines if "logger" in line)


def test_a_log_that_nobody_reads_does_not_stop_the_service(served_models: Path, tmp_path: Path) -> None:
    """Its pipe is full after some hundred requests; thousands more are answered, and SIGTERM ends it."""
    port = free_port()
    reading, writing = os.pipe()
    environ = environment(tmp_path / "home", models_dir=served_models, default_model="grey")
    process = subprocess.Popen(command(port), env=environ, cwd=ROOT, stdout=writing, stderr=writing)
    os.close(writing)
    try:
        patience = time.monotonic() + _PATIENCE_S
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while not _is_ready(client):
                assert time.monotonic() < patience
                time.sleep(0.1)
            answers = [client.get("/livez").status_code for _ in range(3000)]
        assert set(answers) == {200}
        process.terminate()
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
        os.close(reading)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
