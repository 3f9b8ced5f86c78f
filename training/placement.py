"""Where a command computes: on which device, with how many threads, and by how many processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch

from contract.manifest import ImageOutput, VectorOutput
from training.distributed import Processes, launched
from training.errors import ConfigError

_SMALLEST_EDGE = 16


def place(device: str, threads: int | None) -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` means here, and settle how it computes.

    Each process that a launcher started takes the GPU of its number on its machine. Raises ``ConfigError`` if
    there is none.
    """
    if threads is not None:
        if threads < 1:
            raise ConfigError("--threads must be at least 1")
        torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("--device cuda was asked for, but torch sees no GPU")
    if not available or device == "cpu":
        return torch.device("cpu")
    number = launched().local_rank
    if number >= torch.cuda.device_count():
        raise ConfigError(
            f"process {number} of this machine finds no GPU of its own: --nproc-per-node may be at most "
            f"{torch.cuda.device_count()} here"
        )
    torch.cuda.set_device(number)
    settle_arithmetic()
    return torch.device("cuda", number)


def settle_arithmetic() -> None:
    """Have GPUs compute in float32 what is in float32, and choose their kernels by trial.

    TF32 rounds every factor to 10 bits, as coarse as half precision, and penalties on gradients are made of
    small differences. Who wants speed asks for bf16, which leaves penalties, losses and steps in float32.
    Batches are of one size, so that the trial of kernels is paid for once.
    """
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined] # newer than its stubs
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cudnn.benchmark = True


def memory_format_of(output: ImageOutput | VectorOutput) -> torch.memory_format:
    """Return how images are laid out in memory: channels last, if they are not tiny.

    Convolutions read them so with fewer detours: GPUs as well as CPUs, on which training is faster by up to a
    fifth (bench/training_overhead.py). At 8 x 8 pixels it is slower by a tenth.
    """
    if isinstance(output, ImageOutput) and min(output.height, output.width) >= _SMALLEST_EDGE:
        return torch.channels_last
    return torch.contiguous_format


def require_one_process(what: str) -> None:
    """Raise ``ConfigError`` where a launcher started several processes for what one does."""
    processes = launched()
    if processes.size == 1:
        return
    if not processes.is_first:
        raise SystemExit(1)  # the first one says why
    raise ConfigError(
        f"{what} is done by one process: call it with python, not with a launcher of {processes.size}"
    )


@contextmanager
def silent_unless_first(processes: Processes) -> Iterator[None]:
    """Print nothing in processes that do not write; their errors are still told."""
    if processes.is_first:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield
