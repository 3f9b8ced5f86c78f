"""The served models by name and version at one moment: it never changes, another takes its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from types import MappingProxyType

from contract.layout import parse_version
from service.errors import UnknownModel
from service.models.served import ServedModel
from service.requests.wording import describe

_NUMBERS = count(1)
_NO_PINS: Mapping[str, int] = MappingProxyType({})


class Repository:
    """Served models by name and version; the current one of a name is the pinned one, else the highest."""

    def __init__(
        self, models: Iterable[ServedModel], default: str, pins: Mapping[str, int] = _NO_PINS
    ) -> None:
        self._models: dict[str, dict[int, ServedModel]] = {}
        for model in models:
            self._models.setdefault(model.name, {})[model.version] = model
        self.default = default
        self.number = next(_NUMBERS)
        """Another for every repository of this process."""
        self._current = {
            name: versions[_current_version(versions, pins.get(name))]
            for name, versions in self._models.items()
        }

    def is_same_as(self, other: Repository) -> bool:
        """Tell whether every reference means the same model in both."""
        return (self.default, self._models, self._current) == (other.default, other._models, other._current)

    @property
    def names(self) -> list[str]:
        """Every model's name, sorted."""
        return sorted(self._models)

    def versions(self, name: str) -> list[int]:
        """Return the versions served of a name, rising."""
        return sorted(self._models[name])

    def is_current(self, model: ServedModel) -> bool:
        """Tell whether the name alone means this version."""
        return self._current.get(model.name) is model

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
        if not colon:
            return self._current[name]
        versions = self._models[name]
        version = parse_version(version_text)
        if version not in versions:
            known = [f"{name}:{known}" for known in sorted(versions)]
            raise UnknownModel(describe(reference), known)
        return versions[version]


def _current_version(versions: Iterable[int], pin: int | None) -> int:
    """Return the version that a name alone means: the highest, but none above the pin if there is any below.

    Where the pinned version itself is not there, who pinned it wanted nothing newer.
    """
    known = set(versions)
    return max([version for version in known if pin is not None and version <= pin] or known)
