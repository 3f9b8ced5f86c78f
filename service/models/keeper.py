"""Keeps what is served in step with the directory of models, and with what the operator decided.

All of it happens on threads that serve nobody; what is served changes by one assignment, to a repository that
never changes itself. Requests keep the model that they found; it goes when the last of them is done.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from contract.layout import ModelDirectory, model_directories
from service.errors import InvalidSettings
from service.models.decisions import Decisions, DecisionStore
from service.models.places import Place, look_at, sentence
from service.models.repository import Repository
from service.models.served import ServedModel
from service.models.verification import verified
from service.settings import Settings, default_model_name

logger = logging.getLogger("forger.repository")

Key = tuple[str, int]


class Audience(Protocol):
    """Who is told what is served; on any thread."""

    def model_served(self, model: ServedModel) -> None:
        """The model is about to be served."""

    def model_retired(self, model: ServedModel) -> None:
        """No new request finds the model any more."""


class Keeper:
    """Loads what appears, unloads what goes, and refuses what is unsound or was changed.

    ``repository`` is what is served at this moment: whoever asks twice may get two.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[ModelDirectory], ServedModel],
        store: DecisionStore,
        audience: Audience,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Load all sound models; raises ``InvalidSettings`` if there is no default model among them.

        ``rest`` is called when nothing more is to be loaded for a while.
        """
        self.lock = threading.RLock()
        """Held by whoever loads or unloads, for as long as that takes; pins do not wait for it."""
        self.store = store
        self.places: dict[Key, Place] = {}
        self._settings = settings
        self._load = load
        self._audience = audience
        self._rest = rest
        self._decisions = Decisions()
        self._default = ""
        self._trouble = ""
        self._publishing = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.look(starting=True)
        self._default = self._name_of_default()
        self.repository = self._repository()

    def start(self) -> None:
        """Look at the directory again and again from now on, if the settings say so."""
        if self._settings.models_poll_s:
            self._thread = threading.Thread(target=self._poll, name="forger-models", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more, and return when the last look is over; raises nothing."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _poll(self) -> None:
        while not self._stopped.wait(self._settings.models_poll_s):
            try:
                self.look()
            except Exception:  # whatever it is, the next look may do better
                logger.exception("the directory of models cannot be looked at")

    def look(self, *, again: bool = False, starting: bool = False) -> None:
        """Bring what is served in step; try ``again`` what was refused, even if it looks the same."""
        with self.lock:
            self._decisions = self.store.read()
            try:
                found = self._found()
            except OSError as error:
                self._say_once(
                    f"FORGER_MODELS_DIR cannot be looked at, what was loaded stays: {error.strerror}"
                )
                return
            for key, directory in found.items():
                self.places.setdefault(key, Place(directory))
            # What comes is loaded before what goes is unloaded: it may be what takes its place.
            for place in sorted(self.places.values(), key=lambda place: place.key not in found):
                if self._stopped.is_set():
                    break
                if place.key not in found:
                    self._gone(place)
                elif place.key in self._decisions.unloaded:
                    self._keep_away(place)
                else:
                    self._see(place, again=again)
            self._rest()
            if not starting:
                self.publish()

    def publish(self) -> None:
        """Let requests find what is served now."""
        with self._publishing:
            self._decisions = self.store.read()
            latest = self._repository()
            if not latest.is_same_as(self.repository):
                self.repository = latest

    def _name_of_default(self) -> str:
        """Return the default model's name. If nothing of it is served, what was unloaded of it comes back.

        A service that has lost the rest since, as it was damaged or is gone, starts all the same.
        """
        configured = self._settings.default_model
        away = [place for place in self.places.values() if place.key in self._decisions.unloaded]
        if away and not any(configured in (None, model.name) for model in self._served()):
            name = configured or default_model_name(None, [place.key[0] for place in away])
            self._bring_back(name, [place for place in away if place.key[0] == name])
        return default_model_name(configured, {model.name for model in self._served()})

    def _bring_back(self, name: str, away: list[Place]) -> None:
        """Serve the newest of some versions that can be served, as the default model."""
        for place in sorted(away, key=lambda place: place.key, reverse=True):
            with self.lock:
                self.load_now(place)
                if place.model is not None:
                    self._default = name
                    self._keep_away(place)  # which says why it stays
                    return

    def is_needed(self, place: Place) -> str | None:
        """Return why a model must not go, if it is the default's last, or pinned."""
        name, version = place.key
        others = [model for model in self._served() if model.name == name and model.version != version]
        if name == self._default and not others:
            return f"{name}:{version} is the last version of the default model"
        if self._decisions.pins.get(name) == version:
            return f"{name}:{version} is pinned"
        return None

    @property
    def decisions(self) -> Decisions:
        """What the operator decided, as far as it has been carried out."""
        return self._decisions

    def try_to_load(self, place: Place) -> None:
        """Load a directory and serve it; if it cannot be, its place says why. The lock must be held."""
        try:
            model = self._load(place.directory)
        except InvalidSettings:
            if not self._default:
                raise
            self._refuse(place, "the settings do not allow it any more")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one directory must not stop the others
            self._refuse(place, sentence(error))
        else:
            self._audience.model_served(model)
            place.model, place.reason = model, None
            if self._default:
                self.publish()

    def load_now(self, place: Place) -> None:
        """Load one directory, and nothing else for a while. The lock must be held."""
        self.try_to_load(place)
        self._rest()

    def retire(self, place: Place) -> None:
        """Serve a model no more. The lock must be held."""
        model, place.model, place.look, place.tries = place.model, None, None, 0
        if model is not None:
            self.publish()
            self._audience.model_retired(model)
            logger.info("model %s:%d is unloaded", model.name, model.version)

    def _served(self) -> list[ServedModel]:
        return [place.model for place in list(self.places.values()) if place.model is not None]

    def _repository(self) -> Repository:
        return Repository(self._served(), self._default, self._decisions.pins)

    def _found(self) -> dict[Key, ModelDirectory]:
        """Return what lies in the directory of models; raises ``OSError`` if that cannot be told.

        What was known under a name is taken to lie there still, if the name's own folder cannot be read.
        """
        unreadable: dict[str, OSError] = {}
        there = list(model_directories(self._settings.models_dir, unreadable.__setitem__))
        if not self._settings.models_dir.is_dir():  # asked afterwards: it may have gone meanwhile
            raise NotADirectoryError(errno.ENOTDIR, "it is not there")
        there += [place.directory for place in self.places.values() if place.directory.name in unreadable]
        self._say_once(
            "; ".join(
                f"{name} cannot be looked at: {unreadable[name].strerror}" for name in sorted(unreadable)
            )
        )
        return {(one.name, one.version): one for one in there}

    def _see(self, place: Place, *, again: bool) -> None:
        """Look at a directory, and act if it looks otherwise than before."""
        try:
            look = look_at(place.directory)
        except FileNotFoundError:  # it went in this very moment: the next look will tell
            return
        except OSError as error:  # it will not be loaded either, which tells why
            look = (error.errno,)
        is_due = place.is_due(look)
        if place.model is None:
            if is_due or again:
                self.try_to_load(place)
        elif is_due:
            self._check_unchanged(place, place.model)

    def _check_unchanged(self, place: Place, model: ServedModel) -> None:
        """Complain if a served model's directory holds anything else now: a model never changes."""
        reason = None
        try:
            if verified(place.directory, self._settings.model_budget_bytes).digest != model.digest:
                reason = "its directory holds another model now"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the model is served on
            reason = f"its directory was changed: {sentence(error)}"
        if reason is None:
            place.reason = None
        else:
            self._complain(
                place, f"{reason}; what was loaded stays, as models never change: publish a new version"
            )

    def _gone(self, place: Place) -> None:
        needed = None if place.model is None else self.is_needed(place)
        if needed is not None:
            self._complain(place, f"its directory is gone, and what was loaded stays, as {needed}")
            place.look = None
            return
        self.retire(place)
        del self.places[place.key]

    def _keep_away(self, place: Place) -> None:
        """Do not serve what was unloaded here or by way of another process, unless nothing would be left."""
        needed = self.is_needed(place) if place.model is not None and self._default else None
        if needed is not None:
            self._complain(place, f"it was to be unloaded, and stays, as {needed}")
            return
        place.reason = None
        self.retire(place)

    def _say_once(self, trouble: str) -> None:
        """Log what is wrong with the directory as a whole, until it is something else, or nothing."""
        if trouble and trouble != self._trouble:
            logger.error(trouble)
        self._trouble = trouble

    def _refuse(self, place: Place, reason: str) -> None:
        if reason != place.reason:
            logger.error("model %s:%d is left out: %s", *place.key, reason)
        place.reason = reason

    def _complain(self, place: Place, reason: str) -> None:
        if reason != place.reason:
            logger.error("model %s:%d: %s", *place.key, reason)
        place.reason = reason
