"""The real server: its edge over BentoML, its counts, its start and its end."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.models import CONDITIONAL, write_model
from tests.fakes.server import ServerProcess, command, environment, free_port

_PATIENCE_S = 30.0


def counts(server: ServerProcess, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values by the values of its labels, in the order of the labels' names."""
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def gained(before: dict[tuple[str, ...], float], after: dict[tuple[str, ...], float]) -> dict:
    return {key: value - before.get(key, 0.0) for key, value in after.items() if value != before.get(key)}


def test_curl_as_people_type_it_draws_a_png(server: ServerProcess) -> None:
    """A form's Content-Type, as `curl -d` sends it."""
    curl = shutil.which("curl") or pytest.skip("curl is not installed")
    result = subprocess.run(
        [
            curl, "-s", f"{server.url}/generate", "-H", "Accept: image/png",
            "-d", '{"class_label": 7, "seed": 1}',
        ],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert result.stdout.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/schema.json", 404),
        ("GET", "/docs.json", 404),
        ("GET", "/static_content/", 404),
        ("GET", "/generate", 405),
        ("POST", "/livez", 405),
        ("POST", "/metrics", 405),
        ("DELETE", "/models/grey", 405),
        ("PROPFIND", "/generate", 405),
        ("GET", "/models/none", 404),
        ("GET", "//", 404),
        ("GET", "/%00", 404),
    ],
)
def test_nothing_that_bentoml_would_say_itself_gets_out(
    server: ServerProcess, method: str, path: str, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.read())["status"] == status
    connection.close()


def test_errors_of_generate_are_problems_too(server: ServerProcess) -> None:
    for content, content_type, status in (
        (b"{", "application/json", 400),
        (b"{}", "application/vnd.bentoml+pickle", 415),
        (b"{}", "multipart/form-data; boundary=x", 415),
        (b'{"n": 0}', "application/json", 422),
    ):
        response = httpx.post(
            f"{server.url}/generate", content=content, headers={"content-type": content_type}
        )
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


def test_head_has_the_headers_and_no_body(server: ServerProcess) -> None:
    with server.client() as client:
        answered = client.head("/models")
        assert (answered.status_code, answered.content) == (200, b"")
        assert client.get("/models").headers["content-length"] == answered.headers["content-length"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_in_words_that_arrive(
    server: ServerProcess, *, chunked: bool
) -> None:
    """A client that sends all of its body before it reads finds the answer, not a broken connection."""
    megabyte = b" " * 2**20
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/generate")
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(12 * len(megabyte)))
    connection.endheaders()
    for _ in range(12):
        connection.send(b"%x\r\n%s\r\n" % (len(megabyte), megabyte) if chunked else megabyte)
    if chunked:
        connection.send(b"0\r\n\r\n")
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["type"] == "/problems/body-too-large"
    connection.close()


def test_a_declared_length_over_the_limit_is_refused_before_any_byte_comes(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert b"413" in connection.recv(4096).partition(b"\r\n")[0]


def test_counts_at_the_clients_equal_the_metrics(server: ServerProcess) -> None:
    """Eight clients at once: every answer they have is counted, and nothing else is."""
    names = ("forger_requests_total", "forger_images_total", "forger_batch_rows_sum")
    before = {name: counts(server, name) for name in names}

    def play(client_number: int) -> tuple[dict[int, int], int]:
        statuses: dict[int, int] = {}
        images = 0
        with server.client() as client:
            for turn in range(15):
                n = (client_number + turn) % 4
                response = client.post("/generate", json={"n": n, "model": "colour"})
                statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
                if response.status_code == 200:
                    images += len(response.json()["data"])
        return statuses, images

    with ThreadPoolExecutor(8) as clients:
        played = list(clients.map(play, range(8)))
    seen = {200: 0, 422: 0}
    for statuses, _ in played:
        for status, count in statuses.items():
            seen[status] += count
    images = sum(count for _, count in played)
    after = {name: counts(server, name) for name in names}
    requests = gained(before[names[0]], after[names[0]])
    generated = {key[1]: value for key, value in requests.items() if key[0] == "/generate"}
    assert sum(seen.values()) == 120
    assert generated == {"200": seen[200], "422": seen[422]}
    assert gained(before[names[1]], after[names[1]]) == {("colour", "1"): images}
    assert gained(before[names[2]], after[names[2]]) == {("colour", "1"): images}


def test_a_client_that_hangs_up_is_noticed(server: ServerProcess) -> None:
    left = ("/generate", "499")
    before = counts(server, "forger_requests_total").get(left, 0.0)
    body = json.dumps({"model": "vector", "n": 65_536}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
    patience = time.monotonic() + _PATIENCE_S
    while counts(server, "forger_requests_total").get(left, 0.0) == before:
        assert time.monotonic() < patience, "the departure was never counted"
        time.sleep(0.05)


def test_accepted_work_is_finished_when_the_server_is_told_to_stop(
    served_models: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path / "home", models_dir=served_models) as server:
        body = {"model": "vector", "n": 65_536, "seed": 1}
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(server.generate, body)
            patience = time.monotonic() + _PATIENCE_S
            while not counts(server, "forger_batch_rows_count").get(("vector", "1")):
                assert time.monotonic() < patience, "the work was never begun"
            server.terminate()
            assert len(answer.result().json()["data"]) == 65_536
        assert server.process.wait(60) == 0


def test_a_path_prefix_reaches_every_route(served_models: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "home", models_dir=served_models, root_path="/gan") as server:
        for prefix in ("", "/gan"):
            assert httpx.post(f"{server.url}{prefix}/generate", json={}).status_code == 200
            refused = httpx.post(f"{server.url}{prefix}/generate", json={"n": 0}).json()
            assert (refused["type"], refused["instance"]) == ("/gan/problems/invalid-input", "/gan/generate")
            assert httpx.get(f"{server.url}{prefix}/models").status_code == 200


def test_a_default_model_that_cannot_be_loaded_ends_the_service(tmp_path: Path) -> None:
    """Nothing starts the worker over and over: the process ends, and its log says why."""
    directory = write_model(tmp_path / "models", CONDITIONAL)
    document = json.loads(directory.manifest.read_text())
    document["canaries"][0]["seed"] += 1
    directory.manifest.write_text(json.dumps(document))
    environ = environment(tmp_path / "home", models_dir=tmp_path / "models")
    result = subprocess.run(
        command(free_port()), env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode != 0
    assert "grey:1 is left out: the canary image of seed 12" in result.stdout + result.stderr
    assert "the service cannot start: FORGER_MODELS_DIR" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_imagse": 3}, "FORGER_MAX_IMAGSE is no setting"),
        ({"max_images": "0"}, "FORGER_MAX_IMAGES='0'"),
        ({"models_dir": "/nowhere"}, "FORGER_MODELS_DIR='/nowhere'"),
        ({"default_model": "none"}, "FORGER_DEFAULT_MODEL='none'"),
    ],
)
def test_a_wrong_setting_stops_the_start(
    served_models: Path, tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    environ = environment(tmp_path / "home", **{"models_dir": served_models, **settings})
    result = subprocess.run(
        command(free_port()), env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode != 0
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
