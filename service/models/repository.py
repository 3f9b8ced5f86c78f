"""The repository: every served model by name and version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from contract.layout import model_directories, parse_version
from service.engine import Engine
from service.errors import InvalidSettings, UnknownModel
from service.models.loading import load_model
from service.models.served import ServedModel
from service.requests.wording import describe
from service.settings import Settings, default_model_name

logger = logging.getLogger("forger.repository")


class Repository:
    """All served models by name and version; the current version of a name is its highest."""

    def __init__(self, models: Iterable[ServedModel], default: str) -> None:
        self._models: dict[str, dict[int, ServedModel]] = {}
        for model in models:
            self._models.setdefault(model.name, {})[model.version] = model
        self.default = default

    @property
    def names(self) -> list[str]:
        """Every model's name, sorted."""
        return sorted(self._models)

    def versions(self, name: str) -> list[int]:
        """Return the versions served of a name, rising."""
        return sorted(self._models[name])

    def all(self) -> list[ServedModel]:
        """Return every served version of every model."""
        return [self._models[name][version] for name in self.names for version in self.versions(name)]

    def resolve(self, reference: str | None) -> ServedModel:
        """Return the model that ``name`` or ``name:version`` means, or the default one.

        Raises ``UnknownModel`` listing what there is.
        """
        name, colon, version_text = (self.default if reference is None else reference).partition(":")
        if name not in self._models:
            raise UnknownModel(describe(reference), self.names)
        versions = self._models[name]
        version = parse_version(version_text) if colon else max(versions)
        if version not in versions:
            known = [f"{name}:{known}" for known in sorted(versions)]
            raise UnknownModel(describe(reference), known)
        return versions[version]


def load_models(
    settings: Settings, engine: Engine, observe_inference: Callable[[str, int, float], None]
) -> Repository:
    """Load every sound model of the directory; an unsound one is logged, and left out.

    Raises ``InvalidSettings`` if no default model remains.
    """
    models = []
    for directory in model_directories(settings.models_dir):
        try:
            models.append(load_model(directory, settings, engine, observe_inference))
        except InvalidSettings:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one directory must not stop the others
            sentence = "model %s:%d is left out: %s"
            left_out = {"event": "model-left-out"}
            logger.error(sentence, directory.name, directory.version, error, extra=left_out)  # noqa: TRY400 - the sentence is the finding
    default = default_model_name(settings.default_model, (model.name for model in models))
    return Repository(models, default)
