"""What can be judged: a training run at its newest checkpoint, or an exported model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.consultation import summary
from training.errors import ConfigError, RunError
from training.evaluation.curves import read_metrics
from training.evaluation.exported import Exported
from training.evaluation.request import Weights
from training.sampling import Runner, Sampler, torch_runner
from training.trainer import Trainer


@dataclass(frozen=True)
class Subject:
    """A generator to judge, and what is known of it.

    ``facts`` are for people; ``essentials`` stand at the head of ``report.json``; ``metrics`` are a
    run's reports, from which its curves are drawn.
    """

    title: str
    sampler: Sampler
    facts: dict[str, str]
    essentials: dict[str, Any]
    metrics: list[dict[str, float]] = field(default_factory=list)


def run_subject(trainer: Trainer, weights: Weights = "averaged") -> Subject:
    """Return a run's newest generator; raises ``RunError`` if there is none that fits."""
    saved = trainer.saves.recall()
    sampler = trainer.sampler
    if weights == "raw":
        sampler = Sampler(_raw_runner(trainer, saved), trainer.spec, trainer.recipe.latent.prior)
    config, state = trainer.config, trainer.state
    facts = {
        "run": trainer.run.path.name,
        "recipe": f"{trainer.recipe.name}: {trainer.recipe.summary}",
        "trained for": _effort(state.images_seen, state.steps, state.wall_time_s),
        "seed of the run": str(config.seed),
    }
    said = summary(trainer.run, trainer.recipe)
    if said is not None:
        facts["the doctor"] = said
    title = f"What {trainer.run.path.name} draws"
    essentials = {"images_seen": state.images_seen}
    return Subject(title, sampler, facts, essentials, read_metrics(trainer.run.metrics_file))


def _effort(images: int, steps: int, wall_time_s: float) -> str:
    return f"{images:,} images, {steps:,} steps, {wall_time_s / 60:,.1f} minutes"


def _raw_runner(trainer: Trainer, saved: dict[str, Any]) -> Runner:
    try:
        trainer.state.generator.load_state_dict(saved["generator"])
    except (RuntimeError, KeyError) as error:
        raise RunError(f"the checkpoint does not fit the run's configuration: {error}") from error
    return torch_runner(trainer.state.generator)


def model_subject(exported: Exported, runner: Runner, weights: Weights = "averaged") -> Subject:
    """Return an exported model, run by ``runner``; raises ``ConfigError`` for weights that are not in it."""
    manifest, training = exported.manifest, exported.manifest.training
    if weights != training.weights:
        raise ConfigError(f"--weights {weights}: {exported.path} holds {training.weights} weights only")
    facts = {
        "model": f"{manifest.name}, version {manifest.version}",
        "manifest digest": exported.digest,
        "recipe": training.recipe,
        "trained for": _effort(training.images_seen, training.steps, training.wall_time_s),
        "seed of the run": str(training.seed),
        "drawn by": "ONNX Runtime, CPU provider",
    }
    essentials = {
        "model": {"name": manifest.name, "version": manifest.version, "digest": exported.digest},
        "images_seen": training.images_seen,
    }
    sampler = Sampler(runner, exported.spec, manifest.latent.prior)
    return Subject(f"What {manifest.name}, version {manifest.version}, draws", sampler, facts, essentials)
