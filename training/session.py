"""One sitting of a run: it is begun or taken up, held against other processes, and told where it stands."""

from __future__ import annotations

from contextlib import ExitStack

import torch

from training.checkpoint import checkpoints, images_seen_at
from training.data import Dataset
from training.errors import NotWritten
from training.trainer import Trainer


def hold_session(
    trainer: Trainer, dataset: Dataset, threads: int | None, wish: str = "", *, is_new: bool
) -> None:
    """Train to the end, printing what is gone on with.

    ``threads`` is what was asked for, if anything was; ``wish`` is what a command to go on would add.
    Raises ``RunError`` if another process trains the run, ``NotWritten`` where the disk is full, and
    ``KeyboardInterrupt``; the latter two after saying how to go on.
    """
    processes = trainer.processes
    with ExitStack() as held:
        processes.by_first(lambda: held.enter_context(trainer.run.held()))
        if is_new:
            processes.by_first(lambda: trainer.run.create(trainer.config))
            print(trainer.config.model_dump_json(indent=2))
        else:
            processes.in_turn(lambda: _take_up(trainer, threads))
        _describe(dataset)
        go_on = f"go on with: {processes.launch} -m training train --resume {trainer.run.path}{wish}"
        try:
            trainer.train()
        except KeyboardInterrupt:
            print(f"\n{_whereabouts(trainer)}; {go_on}")
            raise
        except NotWritten as fault:
            raise NotWritten(f"{fault}. Make room; then {go_on} ({_whereabouts(trainer)})") from fault
    print(f"done in {trainer.state.wall_time_s:,.0f} s: {trainer.run.path}")


def _take_up(trainer: Trainer, threads: int | None) -> None:
    """Go back to where a run was stopped, with as many threads as it had."""
    before = trainer.config.threads
    if before is not None and threads is None:
        torch.set_num_threads(before)
    trainer.saves.resume()
    if trainer.processes.is_first:
        trainer.run.write_config(trainer.config)  # what to do on a failure may have been said anew
    print(f"going on with {trainer.run.path} after {trainer.state.images_seen:,} images")
    if before is not None and threads not in (None, before):
        print(
            f"begun with --threads {before}: with {threads}, sums are added in another order, and the end "
            "will not be the same to the last bit"
        )


def _describe(dataset: Dataset) -> None:
    shape = "x".join(str(edge) for edge in dataset.output.shape)
    samples = f"{len(dataset.samples):,} samples of {shape}"
    print(f"{dataset.name}: {samples}, classes: {dataset.classes or 'none'}")
    print(dataset.description)


def _whereabouts(trainer: Trainer) -> str:
    """Say how much of a run that was stopped is saved."""
    seen, saved = trainer.state.images_seen, checkpoints(trainer.run.checkpoints)
    if not saved:
        return "nothing is saved yet"
    if images_seen_at(saved[-1]) == seen:
        return f"saved after {seen:,} images"
    return f"stopped after {seen:,} images, saved after {images_seen_at(saved[-1]):,}"
