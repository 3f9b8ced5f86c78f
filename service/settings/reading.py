"""From the environment to settings, or to a sentence that says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from service.errors import InvalidSettings
from service.settings.settings import PREFIX, Settings

# Kubernetes gives every pod such variables for a Service named "forger"; they are no settings of ours.
_SERVICE_LINK = re.compile(r"FORGER_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")

DEFAULT_NAME = "mnist"
"""The model that is the default when it is there and no other is configured."""

_MOST_SHOWN = 100
"""So many characters of what is wrong are told."""


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that the environment spells.

    Raises ``InvalidSettings`` naming the variable at fault, its fault and what is allowed.
    """
    given = {}
    for key, value in environ.items():
        if not key.startswith(PREFIX) or _SERVICE_LINK.fullmatch(key):
            continue
        name = key.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields or key != key.upper():
            known = ", ".join(PREFIX + field.upper() for field in Settings.model_fields)
            raise InvalidSettings(f"{ascii(key[:_MOST_SHOWN])[1:-1]} is no setting; there are {known}")
        given[name] = value
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise InvalidSettings(_explain(error, given)) from error


def default_model_name(configured: str | None, available: Iterable[str]) -> str:
    """Return the default model's name; raises ``InvalidSettings`` if it cannot be served."""
    names = sorted(set(available))
    if not names:
        raise InvalidSettings("FORGER_MODELS_DIR: the directory holds no model that can be served")
    if configured is None:
        return DEFAULT_NAME if DEFAULT_NAME in names else names[0]
    if configured not in names:
        raise InvalidSettings(
            f"FORGER_DEFAULT_MODEL={configured!r}: no such model can be served; allowed: {', '.join(names)}"
        )
    return configured


def _explain(error: ValidationError, given: Mapping[str, str]) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    field = Settings.model_fields[name]
    # A key, even a wrong one, has no place in a log.
    shown = f"={given[name][:_MOST_SHOWN]!r}" if field.repr else ""
    return f"{PREFIX}{name.upper()}{shown}: {message}; allowed: {field.description}"
