"""The service's settings: read once from ``FORGER_*`` variables into a frozen, validated object."""

from __future__ import annotations

from service.settings.models import Precision
from service.settings.reading import default_model_name, load_settings
from service.settings.settings import PREFIX, Settings

__all__ = ["PREFIX", "Precision", "Settings", "default_model_name", "load_settings"]
