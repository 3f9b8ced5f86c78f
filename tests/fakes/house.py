"""A keeper over a directory of models, without a service around it."""

from __future__ import annotations

from pathlib import Path

from contract.layout import ModelDirectory
from service.engine import Engine
from service.models.administration import Administration
from service.models.decisions import DecisionStore
from service.models.keeper import Keeper
from service.models.loading import load_model
from service.models.served import ServedModel
from service.settings import load_settings
from tests.fakes.models import FakeModel, write_model


def grey(version: int) -> FakeModel:
    return FakeModel("grey", version=version)


class House:
    """A keeper over a directory, and all that it was told and told others."""

    def __init__(self, root: Path, engine: Engine, **settings: object) -> None:
        self.root = root
        self.tried: list[str] = []
        self.events: list[str] = []
        given = {"models_dir": root, "default_model": "grey", "models_poll_s": 0, **settings}
        self._settings = load_settings(
            {f"FORGER_{name.upper()}": str(value) for name, value in given.items() if value is not None}
        )
        self._engine = engine
        self.store = DecisionStore(self._settings.state_file)
        self.keeper = Keeper(self._settings, self._load, self.store, self)
        self.commands = Administration(self.keeper)

    def _load(self, directory: ModelDirectory) -> ServedModel:
        self.tried.append(f"{directory.name}:{directory.version}")
        return load_model(directory, self._settings, self._engine, lambda *_: None)

    def model_served(self, model: ServedModel) -> None:
        self.events.append(f"+{model.name}:{model.version}")

    def model_retired(self, model: ServedModel) -> None:
        self.events.append(f"-{model.name}:{model.version}")

    def add(self, fake: FakeModel) -> ModelDirectory:
        """Let a version appear as an export does: written elsewhere, and renamed."""
        written = write_model(self.root / ".new", fake)
        directory = ModelDirectory(self.root, fake.name, fake.version)
        directory.path.parent.mkdir(exist_ok=True)
        written.path.rename(directory.path)
        return directory

    def look(self) -> None:
        self.keeper.look()

    @property
    def served(self) -> list[str]:
        return [f"{model.name}:{model.version}" for model in self.keeper.repository.all()]

    @property
    def current(self) -> int:
        return self.keeper.repository.resolve("grey").version

    def reason(self, name: str, version: int) -> str | None:
        return self.keeper.places[name, version].reason
