"""From a command's options to a trainer: a new run, one to go on with, or only a look at the data."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from pydantic import ValidationError

from training.config import FolderOptions, RunConfig
from training.data import AuditReport, Dataset, audit_dataset, load_dataset
from training.distributed import Processes
from training.errors import ConfigError, RunError
from training.placement import place
from training.provenance import begun_with
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer


def _require_data(options: argparse.Namespace) -> None:
    if options.data is None:
        raise ConfigError(
            "--data is needed: mnist5k, digits, gaussian, a folder of class subfolders, or another form of "
            "data that --help names"
        )


def _folder_options(options: argparse.Namespace) -> FolderOptions:
    return FolderOptions(
        size=options.size,
        channels=options.channels,
        skip_bad=options.skip_bad,
        image_column=options.image_column,
        label_column=options.label_column,
    )


def audited(options: argparse.Namespace) -> AuditReport:
    """Return what is in the data, at what it would be trained on."""
    _require_data(options)
    return audit_dataset(options.data, _folder_options(options))


def _new_run(options: argparse.Namespace) -> tuple[RunConfig, Dataset]:
    _require_data(options)
    settings = list(options.set)
    if options.kimg is not None:
        settings.append(f"total_kimg={options.kimg}")
    recipe = override(recipe_named(options.recipe), settings)
    folder = _folder_options(options)
    dataset = load_dataset(options.data, options.cache, folder)
    every = {
        "log_every_kimg": options.log_every,
        "sample_every_kimg": options.sample_every,
        "checkpoint_every_kimg": options.checkpoint_every,
        "doctor_every_kimg": options.doctor_every,
        "on_failure": options.on_failure,
    }
    try:
        config = RunConfig(
            recipe=recipe,
            data=options.data,
            folder=folder,
            dataset_digest=dataset.digest,
            seed=options.seed,
            provenance=begun_with(),
            threads=torch.get_num_threads(),
            **{key: value for key, value in every.items() if value is not None},
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return config, dataset


def _known_run(path: Path, options: argparse.Namespace) -> tuple[RunDirectory, RunConfig, Dataset]:
    run = RunDirectory(path)
    config = run.read_config()
    dataset = load_dataset(config.data, options.cache, config.folder)
    if dataset.digest != config.dataset_digest:
        raise RunError(f"the data {config.data!r} is no longer what {path} was trained on (digests differ)")
    return run, config, dataset


def known_trainer(
    path: Path, options: argparse.Namespace, processes: Processes | None = None
) -> tuple[Trainer, Dataset]:
    """Return the trainer of a run, untrained, and its data."""
    device = place(options.device, options.threads)
    run, config, dataset = _known_run(path, options)
    if getattr(options, "on_failure", None):
        config = config.model_copy(update={"on_failure": options.on_failure})
    return Trainer(config, dataset, run, device, processes), dataset


def _refuse_new_settings(options: argparse.Namespace) -> None:
    """Raise ``ConfigError`` for options that a resumed run, whose settings are known, would ignore."""
    data = ("data", "dry_run", "size", "channels", "skip_bad", "image_column", "label_column")
    own = ("out", "kimg", "set", "log_every", "sample_every", "checkpoint_every", "doctor_every")
    for name in (*data, *own):
        if getattr(options, name):
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{option} cannot be given with --resume: a run goes on with its own settings")


def _new_trainer(options: argparse.Namespace, processes: Processes) -> tuple[Trainer, Dataset]:
    """Return the trainer of a run that has no directory yet, and its data."""
    device = place(options.device, options.threads)
    config, dataset = _new_run(options)
    name = Path(dataset.name).name or "data"
    run = RunDirectory(options.out or Path("runs") / f"{name}-{config.recipe.name}-{config.seed}")
    return Trainer(config, dataset, run, device, processes), dataset


def opened(options: argparse.Namespace, processes: Processes) -> tuple[Trainer, Dataset]:
    """Return the trainer of a new run or of the one to go on with, and its data."""
    if options.resume is None:
        return _new_trainer(options, processes)
    _refuse_new_settings(options)
    return known_trainer(options.resume, options, processes)
