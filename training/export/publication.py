"""Writes ``models/<name>/<next version>/``: the sole writer of models.

Shapes: N rows, K classes.
"""

from __future__ import annotations

import copy
import io
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from contract.digests import sha256_digest
from contract.layout import (
    FLOAT16_FILE,
    GENERATOR_FILE,
    MANIFEST_FILE,
    PREVIEW_FILE,
    ModelDirectory,
    is_model_name,
    next_version,
)
from contract.manifest import (
    Canary,
    DatasetFacts,
    EvaluationFacts,
    FileEntry,
    LatentSpec,
    Manifest,
    TrainingFacts,
    essentials,
    write_manifest,
)
from training.data import Dataset
from training.errors import ExportError
from training.export.graph import graph_spec, in_float16, onnx_runner, to_onnx
from training.export.parity import (
    FLOAT16_TOLERANCE,
    check_classes_matter,
    check_parity,
    measure_batch_invariance,
)
from training.grids import draw_overview
from training.networks import Generator, GeneratorSpec
from training.provenance import begun_with
from training.sampling import Sampler, torch_runner
from training.trainer import Trainer

_CANARY_SEED = 7
_CANARIES = 4


@dataclass(frozen=True)
class ExportRequest:
    """What the exported model is to be called and said to be."""

    name: str
    models: Path
    description: str
    licence: str
    float16: bool = False
    """Whether a variant that computes in float16 is written too."""
    option: str = "--name"
    """What the user gave the name by, for the message that refuses it."""

    def __post_init__(self) -> None:
        """Raise ``ExportError`` for a name that is none, before any work is done."""
        if not is_model_name(self.name):
            raise ExportError(
                f"{self.option} {self.name!r} is no model name: 1 to 64 lower-case letters, digits, '.', '_' "
                "or '-', with a letter or digit at either end"
            )


@dataclass(frozen=True)
class Finished:
    """A generator that is done with training, on the CPU, and what is known of it."""

    generator: Generator
    spec: GeneratorSpec
    class_names: tuple[str, ...] | None
    facts: TrainingFacts
    evaluation: EvaluationFacts | None


def export(
    trainer: Trainer, dataset: Dataset, evaluation: EvaluationFacts | None, request: ExportRequest
) -> ModelDirectory:
    """Export a run's averaged generator as the next version of a model; raises as :func:`publish` does."""
    finished = Finished(
        generator=copy.deepcopy(trainer.state.averaged).cpu(),  # a GPU rounds otherwise than the CPU provider
        spec=trainer.spec,
        class_names=dataset.class_names if trainer.spec.classes is not None else None,
        facts=_training_facts(trainer, dataset),
        evaluation=evaluation,
    )
    return publish(finished, request)


def publish(finished: Finished, request: ExportRequest) -> ModelDirectory:
    """Write a generator as the next version of a model.

    Nothing appears under ``models`` unless the parity gate passes and every file is written.
    Raises ``ExportError`` for a graph that draws something else or makes no use of its classes.
    """
    spec, facts = finished.spec, finished.facts
    latent = LatentSpec(dim=spec.latent_dim, prior=spec.prior)
    metadata = essentials(
        name=request.name,
        latent=latent,
        classes=finished.class_names,
        output=spec.output,
        recipe=facts.recipe,
        dataset_digest=facts.dataset.digest,
    )
    generator = to_onnx(finished.generator, spec, metadata)
    runner = onnx_runner(generator, spec)
    sampler = Sampler(runner, spec, spec.prior)
    parity = check_parity(torch_runner(finished.generator), runner, spec, spec.prior)
    check_classes_matter(runner, spec, spec.prior)
    files = {GENERATOR_FILE: generator, PREVIEW_FILE: _preview(sampler)}
    float16_parity = None
    if request.float16:
        files[FLOAT16_FILE] = in_float16(generator)
        half = onnx_runner(files[FLOAT16_FILE], spec)
        float16_parity = check_parity(
            torch_runner(finished.generator), half, spec, spec.prior, FLOAT16_TOLERANCE
        )
    directory = ModelDirectory(request.models, request.name, next_version(request.models, request.name))
    manifest = Manifest(
        name=request.name,
        version=directory.version,
        description=request.description,
        licence=request.licence,
        created=datetime.now(UTC).replace(microsecond=0),
        files={name: FileEntry(sha256=sha256_digest(data), bytes=len(data)) for name, data in files.items()},
        latent=latent,
        classes=finished.class_names,
        output=spec.output,
        graph=graph_spec(spec),
        training=facts,
        evaluation=finished.evaluation,
        parity=parity,
        float16_parity=float16_parity,
        batch_invariance=(measure_batch_invariance(runner, spec, spec.prior),),
        canaries=_canaries(sampler),
    )
    _write(directory, files | {MANIFEST_FILE: write_manifest(manifest)})
    return directory


def _training_facts(trainer: Trainer, dataset: Dataset) -> TrainingFacts:
    begun = trainer.config.provenance or begun_with()
    return TrainingFacts(
        recipe=trainer.recipe.name,
        config=trainer.recipe.model_dump(mode="json"),
        dataset=DatasetFacts(
            name=dataset.name,
            digest=dataset.digest,
            images=len(dataset.part(held_out=False)),
            description=dataset.description,
            licence=dataset.licence,
        ),
        steps=trainer.state.steps,
        images_seen=trainer.state.images_seen,
        seed=trainer.config.seed,
        weights="averaged",
        library_versions=begun.library_versions,
        source_commit=begun.source_commit,
        wall_time_s=round(trainer.state.wall_time_s, 1),
    )


def _preview(sampler: Sampler) -> bytes:
    stream = io.BytesIO()
    draw_overview(sampler).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _canaries(sampler: Sampler) -> tuple[Canary, ...]:
    """Draw a few known samples, of classes spread over the model's."""
    classes = sampler.spec.classes
    indices = np.arange(_CANARIES)
    labels = None if classes is None else (indices * max(1, classes // _CANARIES)) % classes
    samples = sampler.draw(_CANARY_SEED, indices, labels)
    return tuple(
        Canary.of(
            _CANARY_SEED,
            int(index),
            None if labels is None or classes is None else tuple(np.eye(classes)[labels[index]].tolist()),
            samples[index],
        )
        for index in indices
    )


def _write(directory: ModelDirectory, files: dict[str, bytes]) -> None:
    """Write all files to a temporary sibling, sync them, then rename it into place."""
    parent = directory.path.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".export-", dir=parent))
    except OSError as error:
        raise ExportError(f"{parent} cannot be written to: {error}") from error
    try:
        for name, data in files.items():
            with (temporary / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        temporary.chmod(0o755)
        temporary.rename(directory.path)
    except OSError as error:
        raise ExportError(f"{directory.path} could not be written: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
