"""The processes that play one run together, as a launcher such as torchrun started them.

Each plays its shard of every batch; gradients are averaged, statistics of batch norm are taken over all rows,
and only the first process writes. CPU tensors travel by gloo, those of GPUs by NCCL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as torch_distributed

# Its functions keep whatever group there is when it is imported, and torch imports it with the first
# optimizer: the group's threads would outlive the run, and now and then abort the process at its very end.
import torch.distributed.nn.functional
from torch import Tensor

from training.errors import TrainingError

Outcome = TypeVar("Outcome")

# A process that dies is noticed at once, as its connections close; this is for one that hangs. It leaves the
# first time to decode a large data set while the others wait.
_PATIENCE = timedelta(minutes=30)


class ProcessLost(TrainingError):
    """Another process of the run ended or failed, so that this one cannot go on."""


@dataclass(frozen=True)
class Processes:
    """This process among those of its run; by default it is alone."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """This process's number among those of its machine, and so the number of its GPU."""

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def launch(self) -> str:
        """How a command is begun so that as many processes play it."""
        return "python" if self.size == 1 else f"torchrun --nproc-per-node {self.size}"

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors, of the same shapes everywhere, by their means over all processes."""
        together = list(tensors)
        if self.size == 1 or not together:
            return
        flat = torch.cat([one.flatten() for one in together])
        total(flat).div_(self.size)
        pieces = flat.split([one.numel() for one in together])
        for one, piece in zip(together, pieces, strict=True):
            one.copy_(piece.view_as(one))

    def any(self, *, wish: bool) -> bool:
        """Tell whether any process has the wish; every process gets the same answer."""
        if self.size == 1:
            return wish
        return bool(total(torch.tensor(int(wish))))

    def by_first(self, action: Callable[[], object]) -> None:
        """Have the first process act; raises its error there, and ``ProcessLost`` everywhere else."""
        try:
            if self.is_first:
                action()
        except BaseException:
            with suppress(ProcessLost):  # whoever is gone need not be told, and the error is this one
                self.any(wish=True)
            raise
        if self.any(wish=False):
            raise ProcessLost("process 0 of this run failed; its own message says why")

    def of_first(self, outcome: Outcome) -> Outcome:
        """Return the first process's outcome of what all did, so that all go on from the same."""
        if self.size == 1:
            return outcome
        box = [outcome]
        with _lost_processes_named():
            torch_distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def in_turn(self, action: Callable[[], Outcome]) -> Outcome:
        """Have the first process act and then all others, which find what it wrote."""
        outcomes: list[Outcome] = []
        self.by_first(lambda: outcomes.append(action()))
        return outcomes[0] if outcomes else action()


def launched() -> Processes:
    """Return what the launcher's environment says of this process; alone if there was no launcher."""
    return Processes(
        rank=int(os.environ.get("RANK", "0")),
        size=int(os.environ.get("WORLD_SIZE", "1")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
    )


@contextmanager
def joined(processes: Processes) -> Iterator[Processes]:
    """Connect to the run's other processes, if there are any, for as long as the context lasts."""
    if processes.size == 1:
        yield processes
        return
    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _lost_processes_named():
        torch_distributed.init_process_group(backends, timeout=_PATIENCE)
    try:
        yield processes
    finally:
        torch_distributed.destroy_process_group()


def total(values: Tensor) -> Tensor:
    """Add up ``values`` over all processes in place, and return them."""
    with _lost_processes_named():
        torch_distributed.all_reduce(values)
    return values


@contextmanager
def _lost_processes_named() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # how torch reports every fault between processes
        raise ProcessLost(
            f"another process of this run ended or cannot be reached; the newest checkpoint is sound: {error}"
        ) from error
