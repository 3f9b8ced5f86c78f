"""A run's saved states: the players, all that moves them and what the doctor remembers, as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.checkpoint import checkpoints, go_back, load_newest, save_checkpoint, set_later_aside
from training.distributed import Processes
from training.doctor import Doctor
from training.errors import Diverged
from training.run import RunDirectory
from training.state import State


class Saves:
    """Saves a run's state in its directory, and takes saved ones up again."""

    def __init__(self, run: RunDirectory, state: State, doctor: Doctor, processes: Processes) -> None:
        self._run, self._state, self._doctor, self._processes = run, state, doctor, processes

    def save(self) -> None:
        """Save the whole state; raises ``Diverged`` rather than replace a good state by a broken one."""
        self._save_in(self._run.checkpoints)

    def save_best(self) -> None:
        """Save the whole state beside the checkpoints, as the best so far; raises ``Diverged`` likewise."""
        self._save_in(self._run.best)

    def _save_in(self, folder: Path) -> None:
        self.require_finite()

        def write() -> None:
            folder.mkdir(exist_ok=True)  # a run from before there was a doctor has none for the best
            whole = {**self._state.save(), "doctor": self._doctor.state_dict()}
            save_checkpoint(folder, self._state.images_seen, whole)

        self._processes.by_first(write)

    def require_finite(self) -> None:
        """Raise ``Diverged`` if what was measured since the last report is no number in any process."""
        figures = self._state.figures
        self._processes.average(figures.sums)
        if figures and not figures.finite():
            raise Diverged(
                f"a loss is no longer finite after {self._state.images_seen} images ({figures.means()}); "
                "lower the learning rates, or go back: the newest checkpoint is sound"
            )

    def resume(self) -> None:
        """Go back to the run's newest sound checkpoint, to train on.

        A run that was stopped before its first one begins anew, which is the same.
        """
        folder = self._run.checkpoints
        if checkpoints(folder):
            path, saved = load_newest(folder)
            self.take_up(saved)
            set_later_aside(folder, path)

    def take_up(self, saved: dict[str, Any]) -> None:
        """Be where a checkpoint was; raises ``RunError`` if it is of other settings or another device."""
        self._state.load(saved)
        if "doctor" in saved:  # checkpoints from before there was a doctor have none
            self._doctor.load_state_dict(saved["doctor"])

    def recall(self) -> dict[str, Any]:
        """Take the averaged generator of the newest sound checkpoint, to draw from; any device will do.

        Returns all that the checkpoint holds.
        """
        _, saved = load_newest(self._run.checkpoints)
        self._state.load_averaged(saved)
        return saved

    def go_back_to_best(self) -> bool:
        """Take the best state up and make it the newest checkpoint; False if none was saved yet."""
        if not checkpoints(self._run.best):
            return False
        path, saved = load_newest(self._run.best)
        self.take_up(saved)
        self._processes.by_first(lambda: go_back(self._run.checkpoints, path))
        return True
