"""Versions that take one another's place under load: no request fails, every image is of its model."""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import shutil
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import onnxruntime
import psutil
from PIL import Image

from contract.latents import Prior, graph_input, standard_normal
from contract.layout import ModelDirectory
from contract.manifest import ImageOutput, read_manifest
from contract.pixels import image_batch_to_pixels
from tests.fakes.models import FakeModel, write_model
from tests.fakes.server import ServerProcess

NAME = "swapped"
SEED, IMAGES = 5, 3
_CORRUPT_EVERY = 10

Ask = Callable[[], httpx.Response]


@dataclass
class Swapper:
    """Publishes version after version, each with weights of its own, every tenth corrupt."""

    root: Path
    dim: int = 4
    side: int = 8
    version: int = 0
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    """What an independent session draws of the seed, by the digest of the model."""

    def publish(self) -> ModelDirectory:
        """Let the next version appear by a rename; the one before it goes."""
        self.version += 1
        fake = FakeModel(
            NAME,
            version=self.version,
            dim=self.dim,
            output=ImageOutput(height=self.side, width=self.side, channels=1),
        )
        written = write_model(self.root / ".new", fake)
        manifest, digest = read_manifest(written.manifest.read_bytes())
        data = written.generator.read_bytes()
        if self.is_corrupt:
            written.generator.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        else:
            self.expected[digest] = _drawn(data, manifest.latent.dim)
        directory = ModelDirectory(self.root, NAME, self.version)
        directory.path.parent.mkdir(exist_ok=True)
        written.path.rename(directory.path)
        return directory

    @property
    def is_corrupt(self) -> bool:
        return self.version % _CORRUPT_EVERY == 0

    def remove_older(self) -> None:
        """Remove every version but the newest, and the newest sound one."""
        keep = {str(self.version), str(self.version - 1 if self.is_corrupt else self.version)}
        for path in (self.root / NAME).iterdir():
            if path.name not in keep:
                shutil.rmtree(path)

    def fault(self, answer: httpx.Response) -> str | None:
        """Return what is wrong with an answer: its images must be those of the model that it names."""
        if answer.status_code != 200:
            return f"status {answer.status_code}: {answer.text[:200]}"
        document = answer.json()
        expected = self.expected.get(document["model_digest"])
        if expected is None:
            return f"the digest of no sound version: {document['model']}:{document['version']}"
        images = [Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))) for item in document["data"]]
        same = np.array_equal(np.stack([np.asarray(image) for image in images]), expected[..., 0])
        return None if same else f"other pixels than {document['model']}:{document['version']} draws"

    def picture_fault(self, answer: httpx.Response) -> str | None:
        """Return what is wrong with an image that was asked for by its address, its facts in the headers."""
        if answer.status_code != 200:
            return f"status {answer.status_code}: {answer.text[:200]}"
        expected = self.expected.get(answer.headers["x-model-digest"])
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
        same = expected is not None and np.array_equal(pixels, expected[0, ..., 0])
        return None if same else "a picture of another model than its headers name"


def _drawn(model: bytes, dim: int) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    latent = standard_normal([SEED] * IMAGES, list(range(IMAGES)), dim)
    return image_batch_to_pixels(session.run(["image"], {"latent": graph_input(latent, Prior.NORMAL)})[0])


class Load:
    """Clients that ask one request after the other, and look at every answer."""

    def __init__(self, ask: Ask, fault: Callable[[httpx.Response], str | None], clients: int) -> None:
        self.faults: list[str] = []
        self.answers: Counter[int] = Counter()
        self.versions: set[int] = set()
        self._ask = ask
        self._fault = fault
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                answer = self._ask()
                fault = self._fault(answer)
                self.answers[answer.status_code] += 1
                if answer.headers["content-type"] == "application/json":
                    self.versions.add(answer.json()["version"])
            except Exception as error:  # noqa: BLE001 - a request that fails is what is looked for
                fault = repr(error)
            if fault is not None:
                self.faults.append(fault)


def swap_under_load(swaps: int, home: Path) -> list[str]:
    """Swap versions of a real server's default model, which finds them by itself; return what went wrong."""
    swapper = Swapper(home / "models", dim=64, side=64)
    swapper.publish()
    faults: list[str] = []
    body = {"model": NAME, "seed": SEED, "n": IMAGES}
    with ServerProcess(home / "home", models_dir=swapper.root, models_poll_s=0.1, threads=2) as server:
        begun, memory = time.monotonic(), []
        with (
            httpx.Client(base_url=server.url, timeout=60) as client,
            Load(lambda: client.post("/generate", json=body), swapper.fault, clients=4) as load,
        ):
            for _ in range(swaps):
                swapper.publish()
                if not swapper.is_corrupt:
                    version = swapper.version
                    if not wait_until(lambda wanted=version: _current(client) == wanted):
                        faults.append(f"version {version} was not served within a minute")
                swapper.remove_older()
                memory.append(_memory_mib(server.process.pid))
        seconds = time.monotonic() - begun
    settled, last = (
        statistics.median(memory[swaps // 4 : swaps // 2]),
        statistics.median(memory[-swaps // 4 :]),
    )
    print(f"{swaps} swaps in {seconds:.0f} s, a tenth corrupt: {load.answers.total():,} requests, "
          f"{dict(load.answers)}, {len(load.versions)} versions seen, {settled:.0f} then {last:.0f} MiB"
    )  # fmt: skip
    return faults + load.faults


def _current(client: httpx.Client) -> int:
    return int(client.get(f"/models/{NAME}").json()["version"])


def _memory_mib(pid: int) -> float:
    """Return what a server's processes hold, but the ones that try models."""
    process = psutil.Process(pid)
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "service.models.trial" not in one.cmdline():
                total += one.memory_info().rss
    return total / 2**20


def wait_until(holds: Callable[[], bool], patience_s: float = 60.0) -> bool:
    """Return whether something came to hold in time."""
    patience = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > patience:
            return False
        time.sleep(0.02)
    return True


def main(arguments: Sequence[str]) -> int:
    """Return 0 if every answer was what it had to be."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=swaps", description=__doc__)
    parser.add_argument("--swaps", type=int, default=200, help="versions that come and go (%(default)s)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="forger-swaps-") as folder:
        faults = swap_under_load(asked.swaps, Path(folder))
    for fault in faults[:20]:
        print(fault)
    return 1 if faults else 0
