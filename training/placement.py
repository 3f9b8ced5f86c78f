"""Where a command computes: on which device, with how many threads, and by how many processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch

from training.distributed import Processes, launched
from training.errors import ConfigError


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
    return torch.device("cuda", number)


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
