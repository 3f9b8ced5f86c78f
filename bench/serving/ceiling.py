"""The ceiling: images per second of ONNX Runtime alone on the same cores, with nothing around it.

The better of two ways to use two cores: one session with two threads, ONNX Runtime's default; and two threads
with a session of one thread each. It is measured in a process of its own, anew before every figure that is
divided by it: shared machines are faster in one minute than in another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime

_SECONDS = 0.5


class Ceiling:
    """A process that measures on request; use it in a ``with`` statement."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.serving.ceiling", str(self._threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def images_per_s(self, model: Path, rows: int) -> float:
        """Return the images per second of a generator's file, so many rows a run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"model": str(model), "rows": rows}), file=self._process.stdin, flush=True)
        return float(json.loads(self._process.stdout.readline()))


class _Sessions:
    """The sessions of each generator, made once."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._made: dict[tuple[str, int], Any] = {}

    def best(self, model: str, rows: int) -> float:
        """Return the images per second of the better way."""
        z_ND = np.random.default_rng(0).standard_normal((rows, 100), dtype=np.float32)
        together = self._session(model, self._threads)
        alone = self._session(model, 1)
        runs = [_rate(lambda: together.run(None, {"latent": z_ND}), 1)]
        runs.append(_rate(lambda: alone.run(None, {"latent": z_ND}), self._threads))
        return rows * max(runs)

    def _session(self, model: str, threads: int) -> Any:  # noqa: ANN401 - onnxruntime is untyped
        if (model, threads) not in self._made:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            self._made[model, threads] = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        return self._made[model, threads]


def _rate(run: Callable[[], object], threads: int) -> float:
    """Return the runs per second of so many threads that do nothing else."""
    run()
    rates: list[float] = []
    start = threading.Barrier(threads)

    def work() -> None:
        start.wait()
        done, begun = 0, time.perf_counter()
        while (spent := time.perf_counter() - begun) < _SECONDS:
            run()
            done += 1
        rates.append(done / spent)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)


def main() -> None:
    """Answer requests on standard input, a line each."""
    sessions = _Sessions(int(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(sessions.best(asked["model"], asked["rows"])), flush=True)


if __name__ == "__main__":
    main()
