"""The keys that the service knows, looked up in constant time, and read again when their file changes."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.access.allowance import Allowance, Limits
from service.access.entries import KeyEntry, read_entries
from service.access.scopes import Scope
from service.access.tokens import LONGEST, digest_of, id_in
from service.errors import InvalidSettings, UnusableKeys

logger = logging.getLogger("forger.access")

_LOOK_EVERY_S = 1.0
_SETTING = "FORGER_KEYS_FILE"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever brings a key: what it may do, and what is left to it."""

    id: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    expires_s: float
    allowance: Allowance | None
    """None of a key without limits."""


# Whoever names an id that is not known is compared with a digest that no key has.
_NOBODY = Holder("", bytes(32), frozenset(), 0.0, None)

# What keys of the environment may do. They cannot be told apart in a log but by their places, nor revoked
# while the service runs: to change what is served takes a key of the file.
_ENVIRONMENT_SCOPES = frozenset({Scope.GENERATE, Scope.METRICS})


class Keyring:
    """All keys of the environment and of a file; with neither of them everything is open."""

    def __init__(
        self,
        from_environment: Sequence[str] = (),
        file: Path | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Read the file; raises ``InvalidSettings`` if it cannot be done.

        ``limits`` are those of all keys that have none of their own; ``clock`` is what they go by.
        """
        self._file = file
        self._limits = limits
        self._clock = clock
        self._of_environment = [
            Holder(
                f"env:{place}",
                digest_of(key.encode("ascii")),
                _ENVIRONMENT_SCOPES,
                float("inf"),
                self._new(limits),
            )
            for place, key in enumerate(from_environment, start=1)
        ]
        self._by_id: dict[bytes, Holder] = {}
        self._seen = self._state_of_file()
        self._complained_of: tuple[int, ...] | None = ()
        if file is not None:
            self._take(entries_of_setting(file))
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether keys are asked for."""
        return self._file is not None or bool(self._of_environment)

    def find(self, token: bytes) -> Holder | None:
        """Return the holder of a key, expired or not, or None.

        It takes as long whichever keys there are, and whether the id that a key names is one of them.
        """
        if len(token) > LONGEST:
            return None
        digest = digest_of(token)
        named = self._by_id.get(id_in(token), _NOBODY)
        found = named if hmac.compare_digest(digest, named.digest) else None
        for holder in self._of_environment:
            if hmac.compare_digest(digest, holder.digest):
                found = holder
        return found

    def watch(self) -> None:
        """Look at the file every second from now on, on a thread: requests never wait for a disk."""
        if self._file is not None:
            self._watcher = threading.Thread(target=self._keep_looking, name="forger-keys", daemon=True)
            self._watcher.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()

    def look(self) -> None:
        """Read the file again if it has changed; one that cannot be read changes nothing, and is logged."""
        state = self._state_of_file()
        if self._file is None or state == self._seen:
            return
        try:
            self._take(read_entries(self._file))
        except UnusableKeys as error:
            if state != self._complained_of:
                self._complained_of = state
                logger.error("the keys stay as they were: %s=%s", _SETTING, error)  # noqa: TRY400 - it says all
        else:
            self._seen = state
            logger.info("the keys were read again: %d in %s", len(self._by_id), self._file)

    def _keep_looking(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self.look()
            except Exception:  # whatever it is, a key that is revoked next must not be good for ever
                logger.exception("the keys stay as they were, as %s cannot be looked at", _SETTING)

    def _state_of_file(self) -> tuple[int, ...] | None:
        """Return what changes when the file does; None if it is not there."""
        try:
            stat = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return None if stat is None else (stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev)

    def _take(self, entries: Sequence[KeyEntry]) -> None:
        """Know these keys and no others, all at once. Who had used up a limit that is the same still has."""
        self._by_id = {entry.id.encode(): self._holder(entry) for entry in entries}

    def _holder(self, entry: KeyEntry) -> Holder:
        known, limits = self._by_id.get(entry.id.encode()), entry.limits(self._limits)
        allowance = None if known is None else known.allowance
        if allowance is None or allowance.limits != limits:
            allowance = self._new(limits)
        return Holder(entry.id, entry.digest, frozenset(entry.scopes), entry.expires_s, allowance)

    def _new(self, limits: Limits) -> Allowance | None:
        return Allowance(limits, self._clock) if limits else None


def entries_of_setting(file: Path) -> list[KeyEntry]:
    """Return the entries of the file that is configured; raises ``InvalidSettings`` if it cannot be read."""
    try:
        return read_entries(file)
    except UnusableKeys as error:
        raise InvalidSettings(f"{_SETTING}={error}") from error
