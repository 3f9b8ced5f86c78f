"""Bodies that the running service answers: of many candidates, those that its default model can draw."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract.latents import TRUNCATION_MODES, standard_normal
from service.errors import InvalidInput
from service.generation.arithmetic import place_arithmetic, read_arithmetic
from service.generation.interpolation import place_interpolate, read_interpolate
from service.generation.latent_refs import Latents
from service.generation.order import Order
from service.generation.sampling import place_generate, read_generate
from service.models.repository import Repository
from service.models.served import ServedModel

_LONGEST_SPELLED = 256
"""Latents of more dimensions than this are not spelled out in an example."""


@dataclass(frozen=True)
class Example:
    """A body with its name, what it asks for in words, and the order that it becomes."""

    name: str
    summary: str
    body: dict[str, Any]
    order: Order
    latents: Latents | None


def drawing_examples(repository: Repository) -> dict[str, list[Example]]:
    """Return the examples of each POST route; every one is placed as a request is, and can be drawn."""
    model = repository.resolve(None)
    routes: Mapping[str, tuple[Callable[[dict[str, Any]], Order], Iterator[Candidate]]] = {
        "/generate": (
            lambda body: place_generate(read_generate(body, repository), repository),
            _generate(model),
        ),
        "/arithmetic": (
            lambda body: place_arithmetic(read_arithmetic(body, repository), repository),
            _arithmetic(model),
        ),
        "/interpolate": (
            lambda body: place_interpolate(read_interpolate(body, repository), repository),
            _interpolate(model),
        ),
    }
    return {path: list(_placed(place, candidates)) for path, (place, candidates) in routes.items()}


Candidate = tuple[str, str, dict[str, Any]]


def _placed(place: Callable[[dict[str, Any]], Order], candidates: Iterator[Candidate]) -> Iterator[Example]:
    for name, summary, body in candidates:
        try:
            order = place(body)
            yield Example(name, summary, body, order, order.computed_latents())
        except InvalidInput:
            continue  # this model, or these limits, cannot do it


def _generate(model: ServedModel) -> Iterator[Candidate]:
    classes = model.manifest.classes or ()
    label = {"class_label": classes[-1]} if classes else {}
    yield "one", "One draw of a seed", {"seed": 42}
    yield "random", "One draw of a random seed: an empty body does the same", {}
    yield "several", "The draws 8 to 11 of a seed", {"n": 4, "seed": 42, "index": 8}
    yield "grid", "Six draws as one picture", {"n": 6, "seed": 5, "layout": "grid"}
    if classes:
        yield "class", "A class by its name", {"seed": 42, "class_label": classes[-1]}
    if len(classes) > 1:
        yield (
            "mixture",
            "Between two classes",
            {"seed": 42, "class_label": {classes[0]: 0.6, classes[-1]: 0.4}},
        )
        yield (
            "balanced",
            "A grid with a row for each class",
            {"n": 2 * len(classes), "seed": 5, "class_label": "balanced", "layout": "grid"},
        )
        yield "labels", "A label for each draw", {"n": 3, "seed": 7, "class_label": [0, classes[1], "random"]}
    for mode in TRUNCATION_MODES[model.manifest.latent.prior]:
        summary = f"More typical draws: truncation by {mode}"
        yield f"truncated-{mode}", summary, {"seed": 42, "truncation": {"mode": mode, "value": 0.7}}
    yield "file-format", "Another file format", {"seed": 42, "output_format": "webp", "quality": 80}
    yield "array", "The values as an NPY file", {"n": 2, "seed": 42, "output_format": "npy"}
    yield "histogram", "One histogram of many draws", {"n": 1000, "seed": 42, "output_format": "png"}
    yield "echoed-latent", "A draw with its latent", {"seed": 42, "return_latents": True}
    named = [{"seed": 42}, {"seed": 42, "index": 1}]
    yield "latents", "Latents by seed and index", {"latents": named, **label}
    dim = model.manifest.latent.dim
    if dim <= _LONGEST_SPELLED:
        spelled = _latent(dim)
        packed = base64.b64encode(standard_normal([42], [0], dim).astype("<f4").tobytes()).decode("ascii")
        both = [{"latent": spelled}, {"latent_b64": packed}]
        yield "spelled-latents", "A latent as numbers, and one as bytes", {"latents": both, **label}
        yield "graph-input", "What the graph is fed, as it is", {"latents": [{"z": spelled}], **label}


def _latent(dim: int) -> list[float]:
    return [round(float(value), 2) for value in standard_normal([42], [0], dim)[0]]


def _arithmetic(model: ServedModel) -> Iterator[Candidate]:
    classes = model.manifest.classes or ()
    label = {"class_label": classes[0]} if classes else {}
    first, second, third = ([{"seed": seed, "index": index} for index in range(3)] for seed in (1, 2, 3))
    sum_of_means = [
        {"weight": 1, "of": first}, {"weight": -1, "of": second}, {"weight": 1, "of": third},
    ]  # fmt: skip
    pair = [{"weight": 1, "of": [{"seed": 1}]}, {"weight": 0.5, "of": [{"seed": 2}]}]
    yield "sum-of-means", "The mean of three draws, less that of three, plus that of three", {
        "terms": sum_of_means, **label,
    }  # fmt: skip
    yield "literal", "The sum as it is", {"terms": pair, "normalize": "none", **label}
    yield "sphere", "The sum put on the sphere", {"terms": pair, "normalize": "sphere", **label}
    yield "terms", "A sum, and what its terms look like", {"terms": pair, "include_terms": True, **label}
    jitter = {"n": 4, "scale": 0.25, "seed": 7}
    yield "neighbours", "Four neighbours of one draw", {
        "terms": [{"weight": 1, "of": [{"seed": 42}]}], "jitter": jitter, **label,
    }  # fmt: skip
    if len(classes) > 1:
        labelled = [{**term, "class_label": classes[place]} for place, term in enumerate(pair)]
        yield "class-sum", "Classes that are summed as the latents are", {"terms": labelled}
    for mode in TRUNCATION_MODES[model.manifest.latent.prior][:1]:
        truncation = {"mode": mode, "value": 0.7}
        yield "truncated", "A truncated sum", {"terms": pair, "truncation": truncation, **label}


def _interpolate(model: ServedModel) -> Iterator[Candidate]:
    classes = model.manifest.classes or ()
    two, three = ([{"latent": {"seed": seed}} for seed in range(1, last)] for last in (3, 4))
    yield "slerp", "Eight images from one seed to another", {"keyframes": two, "steps": 8}
    yield "linear", "A straight way", {"keyframes": two, "steps": 5, "method": "linear"}
    yield "match", "A straight way that keeps the prior's law", {
        "keyframes": two, "steps": 5, "method": "match", "return_latents": True,
    }  # fmt: skip
    loop = {"keyframes": three, "steps": 4, "method": "cubic", "loop": True}
    yield "loop", "A smooth loop through three seeds", loop
    yield "animation", "The loop as an animation", {**loop, "output_format": "gif", "fps": 12}
    yield "grid", "All images as one picture", {**loop, "layout": "grid"}
    if len(classes) > 1:
        labelled = [{**keyframe, "class_label": name} for keyframe, name in zip(two, classes, strict=False)]
        yield "classes", "From one class to another", {"keyframes": labelled, "steps": 5}
    for mode in TRUNCATION_MODES[model.manifest.latent.prior][:1]:
        ends = zip(two, (0.4, 1.0), strict=True)
        truncated = [{**one, "truncation": {"mode": mode, "value": value}} for one, value in ends]
        yield "truncation", "From typical to varied", {"keyframes": truncated, "steps": 4, "method": "match"}
