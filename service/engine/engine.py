"""The engine: its threads, and the making of sessions."""

from __future__ import annotations

from typing import Any, Literal

import onnxruntime

from service.engine.devices import CPU_PROVIDER, CUDA_PROVIDER, choose_device, providers
from service.engine.lanes import Lanes
from service.engine.proof import measured
from service.engine.session import Graph, Proof, Session
from service.errors import InvalidSettings

_WIDE_THREADS = 2
# Weights that are held twice for the sake of single rows.
_SMALL_ENOUGH_TWICE = 64 * 2**20


class Engine:
    """The device, and the threads on which models run."""

    def __init__(self, device: Literal["auto", "cpu", "cuda"], threads: int) -> None:
        self.device = choose_device(device)
        self.threads = threads
        self.lanes = Lanes(threads)

    def load(self, model: bytes, graph: Graph, *, max_batch: int, proof: Proof | None = None) -> Session:
        """Make a session of an ONNX file's bytes; raises whatever ONNX Runtime finds wrong with them.

        Without a proof of how it may be run, that is measured.
        """
        wide, may_be_wide = None, self.device == "cpu" and self.threads >= _WIDE_THREADS
        narrow = self._runtime(model, threads=1)
        if may_be_wide and len(model) <= _SMALL_ENOUGH_TWICE and (proof is None or proof.wide):
            wide = self._runtime(model, threads=_WIDE_THREADS)
        if proof is None:
            proof = measured(
                narrow, graph, max_batch=max_batch, device=self.device, wide=wide, threads=self.threads
            )
        return Session(narrow, graph, proof, max_batch=max_batch, wide=wide)

    def _runtime(self, model: bytes, threads: int) -> Any:  # noqa: ANN401 - onnxruntime is untyped
        options = onnxruntime.SessionOptions()
        # One thread a run, `threads` runs at a time: rows of a small model do not gain from more, when
        # there are others to run. A row that is alone does, if its threads need not be woken for every
        # operator; they spin, and stop when the run ends: spinning threads halve the throughput of a
        # machine that does anything else.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.use_deterministic_compute = True
        # What is wrong comes as an exception; its own lines would carry a stranger's text to the log.
        options.log_severity_level = 4
        runtime = onnxruntime.InferenceSession(model, options, providers=providers(self.device))
        provider = runtime.get_providers()[0]
        wanted = CUDA_PROVIDER if self.device == "cuda" else CPU_PROVIDER
        if provider != wanted:
            raise InvalidSettings(
                f"FORGER_DEVICE: ONNX Runtime runs models on {provider} although {wanted} was asked for; "
                "install onnxruntime-gpu with its cuda and cudnn extras, or set FORGER_DEVICE=cpu"
            )
        return runtime

    def close(self) -> None:
        """End the threads once their runs are done."""
        self.lanes.close()
