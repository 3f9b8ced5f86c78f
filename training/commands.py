"""What each command does, from parsed arguments to files."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import ValidationError

from contract.manifest import EvaluationFacts
from training.config import FolderOptions, RunConfig, override
from training.data import Dataset, audit_dataset, load_dataset, render
from training.errors import ConfigError, DataError, RunError
from training.evaluation import evaluate as evaluate_sampler
from training.export import ExportRequest
from training.export import export as export_model
from training.provenance import begun_with
from training.recipes import recipe_named
from training.run import RunDirectory
from training.trainer import Trainer


def _device(options: argparse.Namespace) -> torch.device:
    if options.threads is not None:
        if options.threads < 1:
            raise ConfigError("--threads must be at least 1")
        torch.set_num_threads(options.threads)
    available = torch.cuda.is_available()
    if options.device == "cuda" and not available:
        raise ConfigError("--device cuda was asked for, but torch sees no GPU")
    return torch.device("cuda" if available and options.device != "cpu" else "cpu")


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


def _audit(options: argparse.Namespace) -> None:
    """Print what is in the data; raises ``DataError`` if training would refuse it."""
    _require_data(options)
    report = audit_dataset(options.data, _folder_options(options))
    print(render(report))
    if not report.is_sound:
        raise DataError(f"{report.name} is not fit to train on, for the reasons above")


def _new_run(options: argparse.Namespace) -> tuple[RunConfig, Dataset]:
    _require_data(options)
    settings = list(options.set)
    if options.kimg is not None:
        settings.append(f"total_kimg={options.kimg}")
    recipe = override(recipe_named(options.recipe), settings)
    folder = _folder_options(options)
    dataset = load_dataset(options.data, options.cache, folder)
    every = {"sample_every_kimg": options.sample_every, "checkpoint_every_kimg": options.checkpoint_every}
    try:
        config = RunConfig(
            recipe=recipe,
            data=options.data,
            folder=folder,
            dataset_digest=dataset.digest,
            seed=options.seed,
            provenance=begun_with(),
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


def _known_trainer(path: Path, options: argparse.Namespace) -> tuple[Trainer, Dataset]:
    """Return the trainer of a run, untrained, and its data."""
    device = _device(options)
    run, config, dataset = _known_run(path, options)
    return Trainer(config, dataset, run, device), dataset


def _refuse_new_settings(options: argparse.Namespace) -> None:
    """Raise ``ConfigError`` for options that a resumed run, whose settings are known, would ignore."""
    data = ("data", "dry_run", "size", "channels", "skip_bad", "image_column", "label_column")
    for name in (*data, "out", "kimg", "set", "sample_every", "checkpoint_every"):
        if getattr(options, name):
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{option} cannot be given with --resume: a run goes on with its own settings")


def train(options: argparse.Namespace) -> None:
    """Train a new run, go on with one, or only look at the data."""
    if options.dry_run and options.resume is None:
        _audit(options)
        return
    if options.resume is not None:
        _refuse_new_settings(options)
        trainer, dataset = _known_trainer(options.resume, options)
        trainer.resume()
        print(f"going on with {options.resume} after {trainer.state.images_seen:,} images")
    else:
        device = _device(options)
        config, dataset = _new_run(options)
        name = Path(dataset.name).name or "data"
        run = RunDirectory(options.out or Path("runs") / f"{name}-{config.recipe.name}-{config.seed}")
        trainer = Trainer(config, dataset, run, device)
        run.create(config)
        print(config.model_dump_json(indent=2))
    path = trainer.run.path
    shape = "x".join(str(edge) for edge in dataset.output.shape)
    print(
        f"{dataset.name}: {len(dataset.samples):,} samples of {shape}, classes: {dataset.classes or 'none'}"
    )
    print(dataset.description)
    try:
        trainer.train()
    except KeyboardInterrupt:
        print(f"\nsaved; go on with: python -m training train --resume {path}")
        raise
    print(f"done in {trainer.state.wall_time_s:,.0f} s: {path}")
    print(f"next: python -m training evaluate {path}")
    print(f"      python -m training export {path} --name NAME")


def _print_report(report: EvaluationFacts) -> None:
    metrics = list(next(iter(report.rows.values())))
    print(f"{report.images:,} samples, seed {report.seed}, {report.weights} weights, no truncation")
    for name, value in report.feature_space.items():
        print(f"  {name}: {value}")
    print(f"{'':>20}" + "".join(f"{row:>12}" for row in report.rows))
    for metric in metrics:
        cells = (f"{row[metric]:>12.4f}" if metric in row else f"{'-':>12}" for row in report.rows.values())
        print(f"{metric:>20}" + "".join(cells))


def _evaluated(trainer: Trainer, dataset: Dataset, options: argparse.Namespace, seed: int) -> EvaluationFacts:
    """Judge the trainer's averaged generator, print the report and keep it with the run."""
    report = evaluate_sampler(trainer.sampler, dataset, options.cache, seed)
    document = {"images_seen": trainer.state.images_seen, **report.model_dump(mode="json")}
    trainer.run.report_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    _print_report(report)
    return report


def evaluate(options: argparse.Namespace) -> None:
    """Judge a run's newest averaged generator."""
    trainer, dataset = _known_trainer(options.run, options)
    trainer.recall()
    _evaluated(trainer, dataset, options, options.seed)


def _kept_report(trainer: Trainer) -> EvaluationFacts | None:
    """Return the run's report if it was made at the checkpoint that is being exported."""
    path = trainer.run.report_file
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("images_seen", None) != trainer.state.images_seen:
            return None
        return EvaluationFacts.model_validate(document)
    except (ValueError, AttributeError):  # torn, or not ours: it is made anew
        return None


def export(options: argparse.Namespace) -> None:
    """Write a run's generator as the next version of a model, with its evaluation."""
    request = ExportRequest(options.name, options.models, options.description, options.licence)
    trainer, dataset = _known_trainer(options.run, options)
    trainer.recall()
    if not request.description:
        text = f"Trained with the recipe {trainer.recipe.name} on {dataset.name}."
        request = replace(request, description=text)
    report = None
    if not options.no_evaluation:
        report = _kept_report(trainer) or _evaluated(trainer, dataset, options, seed=0)
    directory = export_model(trainer, dataset, report, request)
    print(f"wrote {directory.path}")
