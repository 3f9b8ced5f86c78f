"""The run directory: where each thing of a training run lies, and its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from training.config import RunConfig
from training.errors import RunError


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
    def checkpoints(self) -> Path:
        """The newest whole states of the training."""
        return self.path / "checkpoints"

    @property
    def report_file(self) -> Path:
        """The evaluation, JSON."""
        return self.path / "report.json"

    def create(self, config: RunConfig) -> None:
        """Make the directory for a new run; raises ``RunError`` if a run is there already."""
        if self.config_file.exists():
            raise RunError(f"{self.path} holds a run already: pass --resume to go on, or another --out")
        for folder in (self.path, self.tensorboard, self.samples, self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def read_config(self) -> RunConfig:
        """Return the run's configuration; raises ``RunError`` if there is none that can be read."""
        if not self.config_file.is_file():
            raise RunError(f"{self.path} is no run directory: it has no {self.config_file.name}")
        try:
            return RunConfig.model_validate_json(self.config_file.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise RunError(f"{self.config_file} is not a run's configuration: {error}") from error
