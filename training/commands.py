"""What each command does, from parsed arguments to files."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from contract.latents import MAX_SEED
from contract.layout import MANIFEST_FILE
from contract.manifest import EvaluationFacts
from training.config import FolderOptions
from training.consultation import consult
from training.data import Dataset, render
from training.distributed import joined, launched
from training.errors import ConfigError, DataError, Failing
from training.evaluation import (
    Request,
    Subject,
    dataset_of,
    kept_facts,
    model_subject,
    parse_truncation,
    read_exported,
    run_subject,
    terminal_text,
    write_report,
)
from training.evaluation import evaluate as evaluate_sampler
from training.export import ExportRequest
from training.export import export as export_model
from training.export.graph import onnx_runner
from training.opening import audited, known_trainer, opened
from training.placement import place, require_one_process, silent_unless_first
from training.run import RunDirectory
from training.session import hold_session
from training.trainer import Trainer


def _audit(options: argparse.Namespace) -> None:
    """Print what is in the data; raises ``DataError`` if training would refuse it."""
    report = audited(options)
    print(render(report))
    if not report.is_sound:
        raise DataError(f"{report.name} is not fit to train on, for the reasons above")


def train(options: argparse.Namespace) -> None:
    """Train a new run or go on with one, and export it if asked to; or only look at the data.

    Where a launcher started several processes, all train, and the first one does the rest.
    """
    if options.dry_run and options.resume is None:
        require_one_process("--dry-run")
        _audit(options)
        return
    request = _wish_to_export(options)
    wish = f" --export {request.name}" if request else ""
    with joined(launched()) as processes, silent_unless_first(processes):
        trainer, dataset = processes.in_turn(lambda: opened(options, processes))
        hold_session(trainer, dataset, options.threads, wish, is_new=options.resume is None)
    if not processes.is_first:
        return
    path = trainer.run.path
    if request is None:
        print(f"next: python -m training evaluate {path}")
        print(f"      python -m training export {path} --name NAME")
    else:
        _publish(trainer, dataset, request, options)


def _wish_to_export(options: argparse.Namespace) -> ExportRequest | None:
    """Return what a run is to be exported as once it is trained, if at all; a bad name is refused now."""
    if options.export is None:
        return None
    data = options.data if options.resume is None else RunDirectory(options.resume).read_config().data
    name = options.export or model_name_of(data or "")
    return _export_request(options, name, "--export")


def _export_request(options: argparse.Namespace, name: str, option: str) -> ExportRequest:
    return ExportRequest(
        name, options.models, options.description, options.licence, float16=options.float16, option=option
    )


def model_name_of(data: str) -> str:
    """Return a model's name made of the data's: ``./My Photos/`` gives ``my-photos``."""
    name = data.removeprefix("hub:").partition(":")[0] if data.startswith("hub:") else data
    words = re.findall(r"[a-z0-9]+", Path(name).resolve().stem.lower())
    return "-".join(words)[:64].rstrip("-") or "model"


def _judge(
    subject: Subject, dataset: Dataset, options: argparse.Namespace, request: Request, folder: Path
) -> EvaluationFacts:
    """Judge a generator, print what was found and write the report into ``folder``."""
    report = evaluate_sampler(subject.sampler, dataset, options.cache, request)
    print(terminal_text(report))
    print(f"report: {write_report(report, subject, dataset, folder)}")
    return report.facts


def _request(options: argparse.Namespace) -> Request:
    if not 0 <= options.seed <= MAX_SEED:
        raise ConfigError(f"--seed {options.seed}: a seed is from 0 to {MAX_SEED}")
    truncation = None if options.truncation is None else parse_truncation(options.truncation)
    return Request(
        seed=options.seed,
        images=options.images,
        weights=options.weights,
        truncation=truncation,
        cas=options.cas,
        inception=options.inception,
    )


def _evaluate_model(options: argparse.Namespace, request: Request) -> None:
    """Judge an exported model; its directory stays as it is, and the report lies elsewhere."""
    place(options.device, options.threads)
    exported = read_exported(options.subject)
    subject = model_subject(exported, onnx_runner(exported.graph, exported.spec), request.weights)
    folder = FolderOptions(
        skip_bad=options.skip_bad, image_column=options.image_column, label_column=options.label_column
    )
    dataset = dataset_of(exported, options.data, options.cache, folder)
    name = f"{exported.manifest.name}-{exported.manifest.version}"
    _judge(subject, dataset, options, request, options.out or Path("runs") / "reports" / name)


def evaluate(options: argparse.Namespace) -> None:
    """Judge a run's newest generator, or an exported model."""
    require_one_process("evaluate")
    request = _request(options)
    if (options.subject / MANIFEST_FILE).is_file():
        _evaluate_model(options, request)
        return
    for name in ("data", "skip_bad", "image_column", "label_column"):
        if getattr(options, name):
            raise ConfigError(f"--{name.replace('_', '-')} is for exported models: a run knows its data")
    trainer, dataset = known_trainer(options.subject, options)
    subject = run_subject(trainer, request.weights)
    _judge(subject, dataset, options, request, options.out or trainer.run.path)


def doctor(options: argparse.Namespace) -> None:
    """Say what went wrong in a run; raises ``Failing`` if anything did."""
    require_one_process("doctor")
    trainer, _ = known_trainer(options.run, options)
    consultation = consult(trainer)
    print(consultation.text)
    if consultation.named:
        raise Failing(f"{options.run}: " + ", ".join(failure.value for failure in consultation.failures))


def export(options: argparse.Namespace) -> None:
    """Write a run's generator as the next version of a model, with its evaluation."""
    require_one_process("export")
    request = _export_request(options, options.name, "--name")
    trainer, dataset = known_trainer(options.run, options)
    trainer.saves.recall()
    _publish(trainer, dataset, request, options, judge=not options.no_evaluation)


def _publish(
    trainer: Trainer,
    dataset: Dataset,
    request: ExportRequest,
    options: argparse.Namespace,
    *,
    judge: bool = True,
) -> None:
    """Judge a run's generator unless it was, write it as a model, and say how it is served."""
    if not request.description:
        text = f"Trained with the recipe {trainer.recipe.name} on {dataset.name}."
        request = replace(request, description=text)
    facts = kept_facts(trainer.run.report_file, trainer.state.images_seen) if judge else None
    if judge and facts is None:
        try:
            facts = _judge(run_subject(trainer), dataset, options, Request(), trainer.run.path)
        except DataError as error:
            print(f"exported without a judgement: {error}")
    directory = export_model(trainer, dataset, facts, request)
    print(f"wrote {directory.path}")
    draw = (
        f"""-d '{{"model": "{directory.name}", "n": 25, "layout": "grid"}}' -H 'Accept: image/png' > 25.png"""
        if dataset.output.kind == "image"
        else f"""-d '{{"model": "{directory.name}", "n": 25}}'"""
    )
    print(f"serve it: make serve; then curl -s localhost:3000/generate {draw}")
