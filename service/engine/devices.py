"""The device that models run on: looked for, never guessed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import onnxruntime

from service.devices import cuda_devices
from service.errors import InvalidSettings

logger = logging.getLogger("forger.engine")

Device = Literal["cpu", "cuda"]

RUNTIME_VERSION = str(onnxruntime.__version__)
CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"


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


def providers(device: Device) -> Sequence[str | tuple[str, dict[str, str]]]:
    """Return ONNX Runtime's providers for the device, with their options."""
    if device == "cpu":
        return [CPU_PROVIDER]
    # EXHAUSTIVE, the default, measures every kernel again for each new batch size; TF32 would cost
    # ten bits of every product, and with them the canaries.
    return [(CUDA_PROVIDER, {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}), CPU_PROVIDER]
