"""Judges drawn images: draws what the request says, and measures it beside real images and noise.

Shapes: N rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.manifest import EvaluationFacts
from training.data import Dataset
from training.data.dataset import Part
from training.errors import ConfigError
from training.evaluation.classifier import Judge, accuracy, accuracy_from_noise, predict, train_classifier
from training.evaluation.distances import NEIGHBOURS, frechet_distance
from training.evaluation.inception import load_inception
from training.evaluation.request import Request
from training.evaluation.rows import Images, Row, Yardsticks
from training.evaluation.selection import noise_like, rows_like, spread_over_classes
from training.evaluation.spaces import Space, space_for
from training.sampling import Sampler

Labels = NDArray[np.int64]

_CAS_INDEX = 1_000_000
"""Where the draws that a classifier is trained on begin, apart from those that are judged."""
_CAS_VALUES = 2**24
"""How many training values a classifier is still quick for: about ten minutes on one core."""


@dataclass(frozen=True)
class ClassFigures:
    """How one class fares: of ``draws`` draws asked to be it, the share that is read as it.

    Of a generator that cannot be asked, ``draws`` is how many of its draws are read as the class.
    """

    name: str
    draws: int
    read_as_asked: float | None


@dataclass(frozen=True)
class JudgedImages:
    """The figures of drawn images, also by class; the images ``[N, H, W, C]`` and their labels, if any."""

    facts: EvaluationFacts
    classes: tuple[ClassFigures, ...]
    pixels: NDArray[np.uint8]
    labels: Labels | None


def judge_images(sampler: Sampler, dataset: Dataset, cache_dir: Path, request: Request) -> JudgedImages:
    """Judge as many draws as the request says, in the classes of the held-out images.

    Raises ``ConfigError`` if more are asked for than there are real images to set beside them.
    """
    training, held_out = dataset.part(held_out=False), dataset.part(held_out=True)
    inception = None if request.inception is None else load_inception(request.inception)
    count = _count(request, training, held_out)
    wanted = None if held_out.labels is None else held_out.labels[spread_over_classes(held_out, count)]
    labels = wanted if sampler.spec.classes is not None else None
    drawn = np.asarray(sampler.draw(request.seed, np.arange(count), labels, request.truncation), np.uint8)
    beside = rows_like(training, wanted, count)
    kinds = {
        "generated": Images(drawn),
        "real": Images(np.asarray(training.samples[beside], np.uint8), own_rows=beside),
        "noise": Images(noise_like(training, count)),
    }
    space = space_for(dataset, cache_dir)
    yardsticks = Yardsticks(space, training, held_out)
    rows = {name: yardsticks.row(images) for name, images in kinds.items()}
    facts = dict(space.facts) | {"clusters": yardsticks.clusters}
    classes: tuple[ClassFigures, ...] = ()
    if space.judge is not None:
        classes = _class_by_class(space.judge, dataset, drawn, labels)
        if labels is not None:
            _add_class_accuracy(rows, space.judge, kinds, labels)
            facts |= _add_cas(rows, sampler, dataset, cache_dir, request)
    if inception is not None:
        _add_fid(rows, inception, kinds, held_out)
        facts |= inception.facts
    evaluation = EvaluationFacts(
        images=count,
        seed=request.seed,
        weights=request.weights,
        truncation=request.truncation_text,
        feature_space=facts,
        rows=rows,
    )
    return JudgedImages(evaluation, classes, drawn, labels)


def _count(request: Request, training: Part, held_out: Part) -> int:
    count = len(held_out) if request.images is None else request.images
    if not NEIGHBOURS < count <= len(training):
        raise ConfigError(
            f"--images {count}: give {NEIGHBOURS + 1} to {len(training)}; as many real training images are "
            "set beside them"
        )
    return count


def _class_by_class(
    judge: Judge, dataset: Dataset, drawn: NDArray[np.uint8], labels: Labels | None
) -> tuple[ClassFigures, ...]:
    read = predict(judge.model, drawn)
    figures = []
    for label, name in enumerate(dataset.class_names or ()):
        members = (read if labels is None else labels) == label
        as_asked = None if labels is None or not members.any() else float(np.mean(read[members] == label))
        figures.append(ClassFigures(name, int(members.sum()), as_asked))
    return tuple(figures)


def _add_class_accuracy(rows: dict[str, Row], judge: Judge, kinds: dict[str, Images], labels: Labels) -> None:
    for name in ("generated", "noise"):
        rows[name]["class_accuracy"] = float(np.mean(predict(judge.model, kinds[name].pixels) == labels))
    rows["real"]["class_accuracy"] = judge.held_out_accuracy


def _add_fid(rows: dict[str, Row], inception: Space, kinds: dict[str, Images], held_out: Part) -> None:
    reference_NF = inception.features(np.asarray(held_out.samples, np.uint8))
    for name, images in kinds.items():
        rows[name]["fid"] = frechet_distance(reference_NF, inception.features(images.pixels))


def _add_cas(
    rows: dict[str, Row], sampler: Sampler, dataset: Dataset, cache_dir: Path, request: Request
) -> dict[str, str | float]:
    """Add the classification accuracy score (Ravuri and Vinyals 2019); returns why it is left out, if so.

    A classifier is trained on as many draws, of the same classes, as there are training images,
    and tested on the held-out real ones. Beside it: one trained on the real images, which is the judge,
    and one trained on noise.
    """
    training = dataset.part(held_out=False)
    values = int(np.prod(training.samples.shape))
    if request.cas == "no" or (request.cas == "auto" and values > _CAS_VALUES):
        reason = "not asked for" if request.cas == "no" else "it takes long on this much data (--cas yes)"
        return {"cas": f"left out: {reason}"}
    if training.labels is None or sampler.spec.classes is None:
        raise ValueError("the score needs labels and a conditional generator")
    indices = np.arange(_CAS_INDEX, _CAS_INDEX + len(training))
    drawn = sampler.draw(request.seed, indices, training.labels, request.truncation)
    model = train_classifier(Part(drawn, training.labels), sampler.spec.classes)
    rows["generated"]["cas"] = accuracy(model, dataset.part(held_out=True))
    rows["real"]["cas"] = rows["real"]["class_accuracy"]
    rows["noise"]["cas"] = accuracy_from_noise(dataset, cache_dir)
    return {}
