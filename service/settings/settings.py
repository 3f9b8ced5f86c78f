"""All settings, as one object."""

from __future__ import annotations

from pydantic import ConfigDict, model_validator

from service.settings.access import AccessSettings
from service.settings.connections import ConnectionSettings
from service.settings.limits import LimitSettings
from service.settings.models import ModelSettings
from service.settings.telling import TellingSettings

PREFIX = "FORGER_"


class Settings(TellingSettings, ConnectionSettings, AccessSettings, LimitSettings, ModelSettings):
    """Everything that an operator may set.

    Of each field, the title says what it does and the description what is allowed; one that is secret has
    ``repr=False``. ``docs/settings.md`` is made of them.
    """

    # A key, even a wrong one, has no place in a log, nor in a stack trace.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="after")
    def _limits_need_keys(self) -> Settings:
        for name in ("key_requests", "key_images"):
            if getattr(self, name) is not None and not self.asks_for_keys:
                raise ValueError(
                    f"{PREFIX}{name.upper()} is a limit of each key, and none are asked for; "
                    "set FORGER_KEYS_FILE or FORGER_API_KEYS"
                )
        return self

    @model_validator(mode="after")
    def _queues_hold_a_request(self) -> Settings:
        if self.queue_rows < self.max_images:
            raise ValueError("FORGER_QUEUE_ROWS must be at least FORGER_MAX_IMAGES")
        if self.queue_vectors < self.max_vectors:
            raise ValueError("FORGER_QUEUE_VECTORS must be at least FORGER_MAX_VECTORS")
        if self.max_bodies_bytes < self.max_body_bytes:
            raise ValueError("FORGER_MAX_BODIES_BYTES must be at least FORGER_MAX_BODY_BYTES")
        return self
