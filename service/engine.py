"""The ONNX Runtime sessions: the only file that imports onnxruntime.

A row's output is to be the same bits whatever batch it runs in. Kernels do not promise that (a matrix
product of one row may take another path than one of two), so each session measures it when it is
loaded and picks the least padding under which it holds.

Shapes: N rows, D latent dimensions, K classes; an output is float32 ``[N, ...]``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contract.latents import standard_normal
from service.devices import cuda_devices
from service.errors import InvalidSettings

logger = logging.getLogger("forger.engine")

Float32 = NDArray[np.float32]
Device = Literal["cpu", "cuda"]

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

# Batches to this size are probed from their first and their last places, larger ones from one of the two.
_THOROUGHLY_PROBED = 33


@dataclass(frozen=True)
class Padding:
    """A rule by which a run's rows are filled up with zeros."""

    name: str
    size: Callable[[int], int]


def _next_power_of_two(rows: int) -> int:
    return 1 << (rows - 1).bit_length()


def paddings(max_batch: int, device: Device) -> list[Padding]:
    """Return the padding rules to try, cheapest first; the last one always runs the same shape.

    On CUDA shapes are few from the start: kernels are chosen again for every new one.
    """
    buckets = Padding("powers of two", _next_power_of_two)
    fixed = Padding(f"always {max_batch}", lambda _rows: max_batch)
    if device == "cuda":
        return [buckets, fixed]
    free = Padding("none", lambda rows: rows)
    pairs = Padding("at least 2", lambda rows: max(rows, 2))
    fours = Padding("multiples of 4", lambda rows: -(-rows // 4) * 4)
    eights = Padding("multiples of 8", lambda rows: -(-rows // 8) * 8)
    return [free, pairs, fours, eights, buckets, fixed]


def probed_batches(max_batch: int) -> list[int]:
    """Return the sizes at which kernels may change: powers of two and their neighbours below the largest."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length() + 1)]
    near = {power + step for power in powers for step in (-1, 0, 1)}
    return sorted(size for size in near if 1 <= size < max_batch)


@dataclass(frozen=True)
class GraphNames:
    """The names of the graph's inputs and its output."""

    latent: str
    class_weights: str | None
    output: str


class Session:
    """One model's ONNX Runtime session. ``draw`` may be called from any number of threads."""

    def __init__(
        self,
        runtime: Any,  # noqa: ANN401 - onnxruntime is untyped
        names: GraphNames,
        dim: int,
        classes: int | None,
        max_batch: int,
        device: Device,
    ) -> None:
        self._runtime = runtime
        self._names = names
        self._dim = dim
        self._classes = classes
        self.max_batch = max_batch
        self.provider = str(runtime.get_providers()[0])
        self.bit_identical = False
        self.padding = paddings(max_batch, device)[-1]
        self._choose_padding(device)

    def draw(self, z_ND: Float32, weights_NK: Float32 | None) -> Float32:
        """Run N rows (1 to ``max_batch``) and return their output, float32 ``[N, ...]``."""
        rows = len(z_ND)
        size = min(self.padding.size(rows), self.max_batch)
        feed = {self._names.latent: _padded(z_ND, size)}
        if self._names.class_weights is not None:
            assert weights_NK is not None, "a conditional model is fed class weights"
            feed[self._names.class_weights] = _padded(weights_NK, size)
        output: Float32 = self._runtime.run([self._names.output], feed)[0]
        return output[:rows]

    def _choose_padding(self, device: Device) -> None:
        z_ND, weights_NK = self._probe()
        for padding in paddings(self.max_batch, device):
            self.padding = padding
            if self._is_bit_identical(z_ND, weights_NK):
                self.bit_identical = True
                return
        logger.warning("rows differ in their last bits with the batch, whatever the padding")

    def _probe(self) -> tuple[Float32, Float32 | None]:
        """Return rows that exercise the model: random latents, and every kind of class weights."""
        rows = range(self.max_batch)
        z_ND = standard_normal([0] * self.max_batch, list(rows), self._dim)
        if self._classes is None:
            return z_ND, None
        weights_NK = np.zeros((self.max_batch, self._classes), np.float32)
        for row in rows:
            weights_NK[row, row % self._classes] += np.float32(0.75)
            weights_NK[row, (row // 2) % self._classes] += np.float32(0.25)
        return z_ND, weights_NK

    def _is_bit_identical(self, z_ND: Float32, weights_NK: Float32 | None) -> bool:
        """Tell whether rows come out the same from the first and the last places of other batches."""
        reference = self.draw(z_ND, weights_NK)
        for turn, size in enumerate(probed_batches(self.max_batch)):
            places = (slice(0, size), slice(self.max_batch - size, self.max_batch))
            for place in places if size <= _THOROUGHLY_PROBED else places[turn % 2 :][:1]:
                drawn = self.draw(z_ND[place], None if weights_NK is None else weights_NK[place])
                if drawn.tobytes() != reference[place].tobytes():
                    return False
        return True


class Engine:
    """The device, and the threads on which models run."""

    def __init__(self, device: Literal["auto", "cpu", "cuda"], threads: int) -> None:
        self.device = choose_device(device)
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="forger-engine")

    def load(
        self, model: bytes, names: GraphNames, *, dim: int, classes: int | None, max_batch: int
    ) -> Session:
        """Make a session of an ONNX file's bytes; raises whatever ONNX Runtime finds wrong with them."""
        options = onnxruntime.SessionOptions()
        # One thread a run, `threads` runs at a time: rows of a small model do not gain from more. Spinning
        # threads halve the throughput of a machine that does anything else.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        runtime = onnxruntime.InferenceSession(model, options, providers=_providers(self.device))
        provider = runtime.get_providers()[0]
        wanted = CUDA_PROVIDER if self.device == "cuda" else CPU_PROVIDER
        if provider != wanted:
            raise InvalidSettings(
                f"FORGER_DEVICE: ONNX Runtime runs models on {provider} although {wanted} was asked for; "
                "install onnxruntime-gpu with its cuda and cudnn extras, or set FORGER_DEVICE=cpu"
            )
        return Session(runtime, names, dim, classes, max_batch, self.device)

    def close(self) -> None:
        """End the threads once their runs are done."""
        self.pool.shutdown(wait=True)


def choose_device(setting: Literal["auto", "cpu", "cuda"]) -> Device:
    """Return the device to use; raises ``InvalidSettings`` if ``cuda`` is asked for and cannot be had.

    The hardware is looked for first: ONNX Runtime's GPU build lists CUDA on machines that have none.
    ``auto`` is the CPU on a machine with a GPU only if the installed ONNX Runtime has no CUDA in it.
    """
    if setting == "cpu":
        return "cpu"
    built_in = CUDA_PROVIDER in onnxruntime.get_available_providers()
    present = cuda_devices() > 0
    if present and built_in:
        onnxruntime.preload_dlls()
        return "cuda"
    if setting == "cuda":
        missing = (
            "no CUDA device was found" if not present else "the installed ONNX Runtime has no CUDA in it"
        )
        raise InvalidSettings(f"FORGER_DEVICE='cuda': {missing}; allowed: auto, cpu or cuda")
    if present:
        logger.warning(
            "a CUDA device is present, but the installed ONNX Runtime has no CUDA in it: using the CPU"
        )
    return "cpu"


def _providers(device: Device) -> Sequence[str | tuple[str, dict[str, str]]]:
    if device == "cpu":
        return [CPU_PROVIDER]
    # EXHAUSTIVE, the default, measures every kernel again for each new batch size; TF32 would cost
    # ten bits of every product, and with them the canaries.
    return [(CUDA_PROVIDER, {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}), CPU_PROVIDER]


def _padded(array: Float32, rows: int) -> Float32:
    if len(array) == rows:
        return np.ascontiguousarray(array)
    filled = np.zeros((rows, *array.shape[1:]), np.float32)
    filled[: len(array)] = array
    return filled
