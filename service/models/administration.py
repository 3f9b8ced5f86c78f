"""What an operator may ask of the models: to look now, load, unload, pin, roll back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from service.errors import ModelConflict, UnknownModel, UnusableModel
from service.models.decisions import Decisions
from service.models.keeper import Keeper
from service.models.places import Place

State = Literal["served", "loading", "refused", "unloaded"]


@dataclass(frozen=True)
class Standing:
    """How one version of a model stands."""

    name: str
    version: int
    state: State
    current: bool
    pinned: bool
    digest: str | None
    reason: str | None
    """Why it is refused, or what is wrong with the directory of one that is served."""


class Administration:
    """The operator's commands. What they decide is kept, see :mod:`service.models.decisions`.

    To go back does not wait for anything that is being loaded.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def standings(self) -> list[Standing]:
        """Return how every version in the directory of models stands, by name and version."""
        places = list(self._keeper.places.values())
        return [self._standing(place) for place in sorted(places, key=lambda place: place.key)]

    def reload(self) -> list[Standing]:
        """Look at the directory now, also at what was refused before."""
        self._keeper.look(again=True)
        return self.standings()

    def load(self, name: str, version: int) -> Standing:
        """Serve a version, also if it was unloaded before; raises ``UnusableModel`` if that cannot be."""
        with self._keeper.lock:
            self._decide(lambda decided: replace(decided, unloaded=decided.unloaded - {(name, version)}))
            self._keeper.look()
            place = self._place(name, version)
            if place.model is None:
                self._keeper.load_now(place)
            if place.model is None:
                raise UnusableModel(f"{name}:{version} cannot be served: {place.reason}.")
            return self._standing(place)

    def unload(self, name: str, version: int) -> Standing:
        """Serve a version no more; raises ``ModelConflict`` if it is needed."""
        with self._keeper.lock:
            self._keeper.look()
            place = self._place(name, version)
            needed = self._keeper.is_needed(place)
            if needed is not None:
                raise ModelConflict(f"{needed}, and cannot be unloaded.")
            self._decide(lambda decided: replace(decided, unloaded=decided.unloaded | {(name, version)}))
            place.reason = None
            self._keeper.retire(place)
            return self._standing(place)

    def pin(self, name: str, version: int | None) -> Standing:
        """Make a version, or the one that is current, what the name alone means, whatever comes."""
        wanted = self._current(name) if version is None else version
        place = self._place(name, wanted)
        if place.model is None:
            raise ModelConflict(f"{name}:{wanted} is not served, and cannot be pinned.")
        self._decide(lambda decided: decided.pinned(name, wanted))
        return self._standing(place)

    def unpin(self, name: str) -> Standing:
        """Let the highest version be current again."""
        self._current(name)
        self._decide(lambda decided: decided.pinned(name, None))
        return self._standing(self._place(name, self._current(name)))

    def rollback(self, name: str) -> Standing:
        """Pin the version before the current one; raises ``ModelConflict`` if there is none."""
        repository = self._keeper.repository
        current = repository.resolve(name).version
        lower = [one for one in repository.versions(name) if one < current]
        if not lower:
            raise ModelConflict(
                f"{name}:{current} is the lowest version served: there is none to go back to."
            )
        return self.pin(name, max(lower))

    def _decide(self, change: Callable[[Decisions], Decisions]) -> None:
        self._keeper.store.change(change)
        self._keeper.publish()

    def _place(self, name: str, version: int) -> Place:
        place = self._keeper.places.get((name, version))
        if place is None:
            known = [f"{known}:{number}" for known, number in list(self._keeper.places) if known == name]
            raise UnknownModel(
                f'"{name}:{version}"', known or {known for known, _ in list(self._keeper.places)}
            )
        return place

    def _current(self, name: str) -> int:
        return self._keeper.repository.resolve(name).version

    def _standing(self, place: Place) -> Standing:
        name, version = place.key
        model, decided = place.model, self._keeper.decisions
        return Standing(
            name=name,
            version=version,
            state=_state(place, is_away=place.key in decided.unloaded),
            current=model is not None and self._keeper.repository.is_current(model),
            pinned=decided.pins.get(name) == version,
            digest=None if model is None else model.digest,
            reason=place.reason,
        )


def _state(place: Place, *, is_away: bool) -> State:
    if place.model is not None:
        return "served"
    if is_away:
        return "unloaded"
    return "loading" if place.reason is None else "refused"
