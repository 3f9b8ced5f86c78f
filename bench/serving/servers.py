"""The servers that are compared: Forger as `make serve` starts it, and its peers as their documents suggest.

Each peer lives in a virtual environment of its own and serves the same ONNX files with the code in
``peers/``: what their users write by hand, with one session, a quick encoder (OpenCV's) and few checks.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from bench.serving.load import Workload, post
from bench.serving.machine import family

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).with_name("peers")
CACHE = Path(".cache/bench")
_START_S = 120.0
_RUNTIME = "onnxruntime==1.31.1"
_COMMON = (_RUNTIME, "opencv-python-headless", "uvloop", "httptools")

ONE = "one image a request"
MANY = "64 images a request"
JSON = "Content-Type: application/json"


@dataclass(frozen=True)
class Contender:
    """A server: how it is installed and started, and what it is asked."""

    name: str
    command: tuple[str, ...]
    """``{python}``, ``{bin}`` and ``{port}`` are filled in."""
    requirements: tuple[str, ...] = ()
    works: dict[str, Workload] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    is_ours: bool = False
    """Whether it runs in Forger's own environment."""


def forger(model: str) -> Contender:
    """Return Forger, asked for images of a model of the benchmark's."""
    works = {
        ONE: Workload("/generate", f'{{"model":"{model}","n":1,"seed":%SEED%}}', 1),
        MANY: Workload(
            "/generate",
            f'{{"model":"{model}","n":64,"seed":%SEED%}}',
            64,
            (JSON, "Accept: application/x-npy"),
        ),
    }
    return Contender("forger", (), works=works)


_PLAIN = {
    ONE: Workload("/generate", '{"n":1,"seed":%SEED%}', 1),
    MANY: Workload("/generate_raw", '{"n":64,"seed":%SEED%}', 64),
}

_INPUTS = '"inputs":[{"name":"seed","shape":[1,1],"datatype":"INT64","data":[%SEED%]}]'
_SEED = f"{{{_INPUTS}}}"
_OPEN_INFERENCE = {
    ONE: Workload("/v2/models/png/infer", _SEED, 1),
    MANY: Workload("/v2/models/raw/infer", _SEED, 64),
}
# Arrays as bytes, not as JSON numbers.
_AS_BYTES = f'{{{_INPUTS},"outputs":[{{"name":"image","parameters":{{"binary_data":true}}}}]}}'
_TRITON = {ONE: _OPEN_INFERENCE[ONE], MANY: Workload("/v2/models/raw/infer", _AS_BYTES, 64)}

PEERS_BY_NAME = {
    one.name: one
    for one in (
        Contender(
            "bare",
            (
                "{python}",
                "-m",
                "uvicorn",
                "bare_app:app",
                "--port",
                "{port}",
                "--no-access-log",
                "--log-level",
                "warning",
            ),
            works=_PLAIN,
            environment={"PYTHONPATH": f"{ROOT}{os.pathsep}{PEERS}"},
            is_ours=True,
        ),
        Contender(
            "fastapi",
            (
                "{bin}/uvicorn",
                "fastapi_app:app",
                "--port",
                "{port}",
                "--no-access-log",
                "--log-level",
                "warning",
            ),
            ("fastapi", "uvicorn", *_COMMON),
            _PLAIN,
        ),
        Contender(
            "bentoml",
            ("{bin}/bentoml", "serve", "bentoml_app:Plain", "--host", "127.0.0.1", "--port", "{port}"),
            ("bentoml>=1.4.39,<1.5", *_COMMON),
            _PLAIN,
        ),
        Contender(
            "bentoml, batchable",
            ("{bin}/bentoml", "serve", "bentoml_app:Batched", "--host", "127.0.0.1", "--port", "{port}"),
            ("bentoml>=1.4.39,<1.5", *_COMMON),
            {ONE: Workload("/generate", '{"seeds":[%SEED%]}', 1)},
        ),
        Contender(
            "litserve",
            ("{python}", "litserve_app.py", "{port}", "32"),
            ("litserve==0.2.19", *_COMMON),
            {ONE: _PLAIN[ONE]},
        ),
        Contender(
            "litserve, arrays",
            ("{python}", "litserve_app.py", "{port}", "1"),
            ("litserve==0.2.19", *_COMMON),
            {MANY: Workload("/generate", '{"n":64,"seed":%SEED%}', 64)},
        ),
        Contender(
            "triton",
            ("{python}", "triton_app.py", "{port}"),
            ("nvidia-pytriton==0.7.0", "numpy<2", _RUNTIME, "opencv-python-headless<4.12"),
            _TRITON,
            {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))},
        ),
        Contender(
            "ray",
            ("{python}", "ray_app.py", "{port}"),
            ("ray[serve]==2.60", _RUNTIME, "opencv-python-headless"),
            _PLAIN,
        ),
        Contender(
            "mlserver",
            ("{python}", "mlserver_app.py", "{port}"),
            ("mlserver==1.7.1", *_COMMON),
            _OPEN_INFERENCE,
        ),
    )
}


class Server:
    """A contender that runs on a free port of the loopback; use it in a ``with`` statement."""

    def __init__(self, contender: Contender, model_file: Path, models: Path, cache: Path) -> None:
        self.contender = contender
        self.url = f"http://127.0.0.1:{_free_port()}"
        self.model_file = model_file.resolve()
        self._models = models.resolve()
        self._cache = cache.resolve()
        self.ready_s = 0.0

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def __enter__(self) -> Self:
        command, folder, environment = self._start()
        self._cache.mkdir(parents=True, exist_ok=True)
        self._log = (self._cache / f"{self.contender.name}.log").open("w")
        begun = time.monotonic()
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=self._log, stderr=self._log, start_new_session=True
        )
        try:
            self._wait_until_it_draws(begun)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> tuple[list[str], Path, dict[str, str]]:
        port = self.url.rpartition(":")[2]
        home = self._cache / "bentoml" / self.contender.name.replace(", ", "-")
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FORGER_")},
            "BENTOML_HOME": str(home),
            "BENTOML_DO_NOT_TRACK": "True",
            **self.contender.environment,
        }
        if self.contender.name == "forger":
            environment |= {"HOST": "127.0.0.1", "PORT": port, "FORGER_MODELS_DIR": str(self._models)}
            return [sys.executable, "-m", "service"], ROOT, environment
        binaries = environment_of(self.contender, self._cache)
        filled = {"bin": str(binaries), "python": str(binaries / "python"), "port": port}
        environment |= {
            "BENCH_MODEL": str(self.model_file),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{binaries}:{os.environ['PATH']}",
        }
        return [part.format(**filled) for part in self.contender.command], PEERS, environment

    def _wait_until_it_draws(self, begun: float) -> None:
        fault: object = None
        while time.monotonic() < begun + _START_S:
            if self._process.poll() is not None:
                break
            try:
                for work in self.contender.works.values():
                    post(self.url, work, 5.0)
            except (OSError, urllib.error.URLError) as error:
                fault = error
                time.sleep(0.02)
            else:
                self.ready_s = time.monotonic() - begun
                return
        raise RuntimeError(f"{self.contender.name} does not serve ({fault}); see {self._log.name}")

    def stop(self) -> None:
        """End the server and all that it started."""
        started = family(self._process.pid)
        if started:
            started[0].send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(started, timeout=10)
        for process in alive:
            process.kill()
        self._process.wait()
        self._log.close()


def environment_of(contender: Contender, cache: Path) -> Path:
    """Return the folder of binaries of the contender's environment, which is made if it is not there."""
    if contender.is_ours:
        return Path(sys.executable).parent
    folder = cache / "environments" / contender.name.partition(",")[0]
    ready = folder / ".ready"
    wanted = "\n".join(contender.requirements)
    if not ready.is_file() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin/pip"), "install", "-q", *contender.requirements], check=True)
        ready.write_text(wanted)
    return folder / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
