"""What must be right before anything heavy is started: settings, the device, the default model's files.

Whatever is wrong stops the start at once, with a sentence instead of a stack trace.
"""

from __future__ import annotations

from collections.abc import Mapping

from contract.layout import model_directories
from service.access.keyring import entries_of_setting
from service.devices import cuda_devices
from service.errors import InvalidSettings, UnusableModel
from service.models.verification import verified
from service.settings import Settings, default_model_name, load_settings
from service.tracing import check_traces


def settings_or_exit(environ: Mapping[str, str]) -> Settings:
    """Return the settings; if one is wrong, end the process, saying which and why."""
    try:
        return load_settings(environ)
    except InvalidSettings as error:
        raise SystemExit(f"forger: {error}") from error


def check_or_exit(settings: Settings) -> None:
    """End the process if the machine and the directory of models cannot make a service of the settings."""
    try:
        if settings.keys_file is not None:
            entries_of_setting(settings.keys_file)
        _check_device(settings)
        check_traces(settings.traces)
        _check_default_model(settings)
    except (InvalidSettings, UnusableModel) as error:
        raise SystemExit(f"forger: {error}") from error


def _check_device(settings: Settings) -> None:
    if settings.device == "cuda" and cuda_devices() == 0:
        raise InvalidSettings("FORGER_DEVICE='cuda': no CUDA device was found; allowed: auto, cpu or cuda")


def _check_default_model(settings: Settings) -> None:
    """Require the files of some version of the default model to be as its manifest states."""
    unreadable: dict[str, OSError] = {}
    try:
        directories = list(model_directories(settings.models_dir, unreadable.__setitem__))
        name = default_model_name(settings.default_model, (entry.name for entry in directories))
    except OSError as error:
        raise InvalidSettings(f"FORGER_MODELS_DIR cannot be looked at: {error.strerror}") from error
    except InvalidSettings as error:
        others = [f"{name} cannot be looked at: {unreadable[name].strerror}" for name in unreadable]
        raise InvalidSettings("; ".join([str(error), *others])) from error
    newest_first = [entry for entry in reversed(directories) if entry.name == name]
    faults = []
    for directory in newest_first:
        try:
            verified(directory, settings.model_budget_bytes)
        except UnusableModel as error:
            faults.append(f"{name}:{directory.version}: {error}")
        else:
            return
    raise UnusableModel(f"the default model cannot be served: {'; '.join(faults)}")
