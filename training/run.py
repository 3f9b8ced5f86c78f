"""The run directory: where each thing of a training run lies, and its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from training.config import RunConfig
from training.errors import RunError
from training.locks import Held, locked
from training.storage import sweep, write_whole


@dataclass(frozen=True)
class RunDirectory:
    """A directory that holds one training run."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The resolved configuration, JSON."""
        return self.path / "config.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a report, JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def samples(self) -> Path:
        """Grids of one fixed latent batch through time."""
        return self.path / "samples"

    @property
    def animation_file(self) -> Path:
        """The grids as one moving picture, WebP."""
        return self.path / "samples.webp"

    @property
    def checkpoints(self) -> Path:
        """The newest whole states of the training."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The whole state in which the averaged generator was nearest to the data, as a checkpoint."""
        return self.path / "best"

    @property
    def doctor_log(self) -> Path:
        """The doctor's checks, one JSON object a line."""
        return self.path / "doctor.jsonl"

    @property
    def report_file(self) -> Path:
        """The evaluation, JSON."""
        return self.path / "report.json"

    def grid_file(self, images_seen: int) -> Path:
        """Return where the grid drawn at that many images lies."""
        return self.samples / f"{images_seen:012d}.png"

    def grids(self) -> list[Path]:
        """Return the grids there are, oldest first."""
        return sorted(self.samples.glob("[0-9]*.png"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training here, and remove what a killed one left half-written.

        Raises ``RunError`` naming the process that trains in it already.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.path / ".lock"):
                self._sweep()
                yield
        except Held as holder:
            raise RunError(
                f"{self.path} is being trained by {holder}: wait for its end, or interrupt it"
            ) from holder

    def _sweep(self) -> None:
        for file in (self.config_file, self.metrics_file, self.doctor_log, self.animation_file):
            sweep(self.path, file.name)  # not the reports: an evaluation may be writing one
        for folder in (self.samples, self.checkpoints, self.best):
            sweep(folder)

    def create(self, config: RunConfig) -> None:
        """Make the directory for a new run; raises ``RunError`` if a run is there already."""
        if self.config_file.exists():
            raise RunError(f"{self.path} holds a run already: pass --resume to go on, or another --out")
        for folder in (self.path, self.tensorboard, self.samples, self.checkpoints, self.best):
            folder.mkdir(parents=True, exist_ok=True)
        self.write_config(config)

    def write_config(self, config: RunConfig) -> None:
        """Write the configuration, all of it or nothing."""
        write_whole(self.config_file, (config.model_dump_json(indent=2) + "\n").encode())

    def read_config(self) -> RunConfig:
        """Return the run's configuration; raises ``RunError`` if there is none that can be read."""
        if not self.config_file.is_file():
            raise RunError(f"{self.path} is no run directory: it has no {self.config_file.name}")
        try:
            return RunConfig.model_validate_json(self.config_file.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise RunError(f"{self.config_file} is not a run's configuration: {error}") from error
