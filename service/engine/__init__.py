"""The models on their device: ONNX Runtime's sessions, and the threads that run them."""

from __future__ import annotations

from service.engine.devices import CPU_PROVIDER, CUDA_PROVIDER, RUNTIME_VERSION, Device, choose_device
from service.engine.engine import Engine
from service.engine.halt import Halt
from service.engine.lanes import Lanes
from service.engine.proof import document_of, measured, proof_in
from service.engine.session import Graph, Output, Proof, Session

__all__ = [
    "CPU_PROVIDER",
    "CUDA_PROVIDER",
    "RUNTIME_VERSION",
    "Device",
    "Engine",
    "Graph",
    "Halt",
    "Lanes",
    "Output",
    "Proof",
    "Session",
    "choose_device",
    "document_of",
    "measured",
    "proof_in",
]
