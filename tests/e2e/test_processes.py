"""The supervisor and its worker: deaths, signals, and what clients see of them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fakes.server import ROOT, ServerProcess, command, environment, free_port

_PATIENCE_S = 30.0
# Takes a second or so: long enough to be under way when a signal comes.
_LONG = {"model": "vector", "n": 65_536, "seed": 1}


@pytest.fixture
def server(served_models: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, to be mistreated."""
    with ServerProcess(tmp_path / "home", models_dir=served_models, default_model="grey") as running:
        yield running


def worker_of(server: ServerProcess) -> psutil.Process:
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def wait_until(holds: Callable[[], bool], what: str) -> None:
    patience = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < patience, f"waited in vain until {what}"
        time.sleep(0.02)


def wait_until_inside(server: ServerProcess) -> None:
    """Wait until a run of the long request has begun."""
    wait_until(
        lambda: (
            'forger_batch_rows_count{model="vector",version="1"} 0' not in _metrics(server)
            and 'forger_batch_rows_count{model="vector"' in _metrics(server)
        ),
        "the work was begun",
    )


def _metrics(server: ServerProcess) -> str:
    return httpx.get(f"{server.url}/metrics").text


def request_on(connection: http.client.HTTPConnection, path: str = "/readyz") -> tuple[int, str | None]:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status, response.headers["connection"]


def test_a_killed_worker_is_replaced_and_clients_wait_for_it(server: ServerProcess) -> None:
    """The socket stays open: who connects meanwhile is answered late, not refused. Counts go on."""
    body = {"seed": 5, "class_label": 1}
    before = server.generate(body, "image/png").content
    assert 'status="200"} 1.0' in _metrics(server)  # which writes what is noted
    dead = worker_of(server)
    dead.kill()
    wait_until(lambda: not dead.is_running() or dead.status() == psutil.STATUS_ZOMBIE, "it was dead")
    assert server.generate(body, "image/png").content == before
    assert worker_of(server).pid != dead.pid
    assert 'forger_requests_total{route="/generate",status="200"} 2.0' in _metrics(server)
    assert f'pid="{dead.pid}"' not in _metrics(server)


def test_a_worker_without_its_supervisor_ends(server: ServerProcess) -> None:
    worker = worker_of(server)
    server.process.kill()
    wait_until(lambda: not worker.is_running(), "the worker had ended")


def test_told_to_stop_it_finishes_its_work_and_turns_others_away(server: ServerProcess) -> None:
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    assert request_on(kept) == (200, None)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(server.generate, _LONG)
        wait_until_inside(server)
        server.terminate()
        wait_until(lambda: request_on(kept)[0] == 503, "it was no longer ready")
        fresh = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        assert request_on(fresh) == (503, "close")
        late = httpx.post(f"{server.url}/generate", json={})
        assert (late.status_code, late.headers["connection"]) == (503, "close")
        assert int(late.headers["retry-after"]) >= 1
        assert not answer.done(), "the work was done too soon for this test to see anything"
        assert len(answer.result().json()["data"]) == 65_536
    assert server.process.wait(_PATIENCE_S) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    kept.close()
    fresh.close()


def test_what_is_not_finished_within_the_grace_is_cut_off(served_models: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "home", models_dir=served_models, grace_ms=100, threads=1) as server:
        half = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        half.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        wait_until(lambda: request_counts_as_inside(server), "the request was inside")
        server.terminate()
        assert server.process.wait(_PATIENCE_S) == 0
        assert "1 requests are cut off after 0.1 s" in server.log()
        half.close()


def request_counts_as_inside(server: ServerProcess) -> bool:
    """Tell whether the half of a request was taken in: what comes after it on another connection was too."""
    return httpx.get(f"{server.url}/livez").status_code == 200


def test_control_c_stops_it_and_once_more_ends_it_at_once(server: ServerProcess) -> None:
    half = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    half.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    assert request_counts_as_inside(server)
    worker = worker_of(server)
    server.process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert server.process.poll() is None, "it did not wait for the request inside"
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(_PATIENCE_S) == 1
    assert not worker.is_running()
    half.close()


def test_stopped_before_it_is_ready_it_ends_well(served_models: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(free_port()), env=environment(tmp_path / "home", models_dir=served_models), cwd=ROOT
    )
    wait_until(lambda: len(psutil.Process(process.pid).children()) == 1, "the worker was started")
    process.terminate()
    assert process.wait(_PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "example.org"], "the host must be an IP address"),
        (["--port", "70000"], "the port must be a number from 1 to 65535, not 70000"),
        (["--port", "http"], "the port must be a number from 1 to 65535, not 'http'"),
        (["--host", "203.0.113.1", "--port", "4000"], "cannot listen on 203.0.113.1:4000"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused_in_words(
    served_models: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=environment(tmp_path / "home", models_dir=served_models),
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"forger: {sentence}")


def test_a_port_in_use_is_refused_in_words(
    server: ServerProcess, served_models: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        command(server.port), env=environment(tmp_path / "other", models_dir=served_models),
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port} (Address already in use)" in done.stderr


def test_bentoml_can_serve_it_too(served_models: Path, tmp_path: Path) -> None:
    """With BentoML's own command, as a bento is started."""
    port = free_port()
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "bentoml", "serve", "service.app:Forger",
            "--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "30",
        ],
        env=environment(tmp_path / "home", models_dir=served_models, default_model="grey"),
        stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(ready, "it was ready")
        answer = httpx.post(f"{url}/generate", json={"seed": 1, "n": 2}).json()
        assert len(answer["data"]) == 2
        assert json.loads(httpx.get(f"{url}/openapi.json").text)["openapi"].startswith("3.1")
    finally:
        process.terminate()
        assert process.wait(60) == 0
        log.close()
