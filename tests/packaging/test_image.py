"""The Dockerfile: what can be known of the image without an engine that builds it."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


def read_stages() -> dict[str, list[tuple[str, str]]]:
    """Return each stage's instructions, those of the stage that it builds on before its own."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = [("FROM", base)] if base not in stages else list(stages[base])
            current = stages[name]
        else:
            current.append((instruction, rest))
    return stages


STAGES = read_stages()


def instructions(stage: str, instruction: str) -> list[str]:
    """Return what follows each occurrence of an instruction in a stage."""
    return [rest for name, rest in STAGES[stage] if name == instruction]


@contextmanager
def server_answering(status: int) -> Iterator[int]:
    """Serve one status at /readyz, another anywhere else; yields the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_health_check(port: int) -> int:
    """Run the image's health check against a port of this machine; returns its exit status."""
    (check,) = instructions("gpu", "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[0] == "python"
    environment = os.environ | {"PORT": str(port)}
    done = subprocess.run(
        [sys.executable, *command[1:]], env=environment, capture_output=True, timeout=30, check=False
    )
    return done.returncode


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint is not made for this platform")
def test_hadolint_finds_nothing() -> None:
    """The Dockerfile is clean, without an exception."""
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE.read_text()


def test_the_gpu_image_is_the_default() -> None:
    """A build that names no target gets the last stage."""
    assert list(STAGES)[-1] == "gpu"


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_the_image_runs_the_service_as_a_user_that_is_not_root(stage: str) -> None:
    """Number and not name, so that Kubernetes can tell; nothing returns to root after it."""
    (user,) = instructions(stage, "USER")
    assert int(user.partition(":")[0]) > 0


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_the_server_is_the_first_process_and_is_asked_to_stop_with_sigterm(stage: str) -> None:
    """No shell stands between the engine's signal and the server."""
    (entry,) = instructions(stage, "ENTRYPOINT")
    assert json.loads(entry) == ["python", "-m", "service"]
    assert instructions(stage, "STOPSIGNAL") == ["SIGTERM"]
    assert instructions(stage, "CMD") == []


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_each_image_takes_its_own_build_of_the_runtime_and_no_training(stage: str) -> None:
    """It comes whole from the stage that installed the extra of that name, and what `FORGER_TRACES` needs."""
    assert instructions(stage, "COPY") == [
        f"--from=requirements-{stage} /opt/forger /opt/forger",
        "--from=application /srv/forger /srv/forger",
        "--from=application /models /models",
    ]
    (install,) = [rest for rest in instructions(f"requirements-{stage}", "RUN") if " install " in rest]
    assert f'--no-cache-dir --constraint constraints.txt ".[{stage},traces]"' in install
    assert not [rest for rest in instructions(stage, "RUN") if "install" in rest]


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_the_working_directory_is_made_before_the_user_is_known(stage: str) -> None:
    """Or builders differ in whose it is, and the service could write beside its own code."""
    order = [name for name, _ in STAGES[stage]]
    assert instructions(stage, "WORKDIR") == ["/srv/forger"]
    assert order.index("WORKDIR") < order.index("RUN", order.index("WORKDIR")) < order.index("USER")


def compilations(stage: str) -> list[list[str]]:
    """Return the arguments of each compilation in a stage."""
    found = [rest.split() for rest in instructions(stage, "RUN") if rest.startswith("python -m compileall ")]
    assert [words[3:6] for words in found] == [["-q", "--invalidation-mode", "checked-hash"]] * len(found)
    return [words[6:] for words in found]


def test_the_standard_library_and_the_service_are_compiled_in_the_image() -> None:
    """Its user may write no bytecode, so what has none is compiled at every start, in every process."""
    library = ["-x", "site-packages", "/usr/local/lib/python3.*"]
    assert compilations("gpu") == [library]
    assert compilations("cpu") == [library]
    assert compilations("application") == [library, ["/srv/forger"]]
    order = [f"{name} {rest.split()[0]}" for name, rest in STAGES["application"]]
    assert max(order.index("COPY contract"), order.index("COPY service")) < len(order) - 2
    assert order[-2:] == ["RUN python", "COPY models"], "models are no reason to compile again"


def test_pip_compiles_what_it_installs() -> None:
    """It does so unless it is told not to."""
    text = DOCKERFILE.read_text()
    assert not [
        word for word in ("--no-compile", "PIP_NO_COMPILE", "PYTHONDONTWRITEBYTECODE") if word in text
    ]


def test_what_is_copied_exists_and_is_let_through() -> None:
    """Every source of a COPY is in the checkout, and .dockerignore keeps back nothing else than the rest."""
    sources = {
        source.rstrip("/")
        for stage in STAGES
        for rest in instructions(stage, "COPY")
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignore if line.startswith("!")} == sources


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1), (404, 1)])
def test_the_health_check_passes_only_when_the_service_is_ready(status: int, exit_status: int) -> None:
    """It asks /readyz on the container's own port."""
    with server_answering(status) as port:
        assert run_health_check(port) == exit_status


def test_the_health_check_fails_where_nothing_listens() -> None:
    """A server that is gone is not healthy."""
    with server_answering(200) as port:
        pass
    assert run_health_check(port) == 1


def test_the_bento_stands_on_the_same_base_image() -> None:
    """One base, pinned by digest, for both ways into a container."""
    (base,) = instructions("gpu", "FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert f"base_image: {base}\n" in (ROOT / "bentofile.yaml").read_text()
