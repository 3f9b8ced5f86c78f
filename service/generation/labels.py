"""Class labels: from what a request says to one row of class weights for each image.

Shapes: N images, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.latents import random_class
from service.errors import InvalidInput
from service.generation.latent_refs import Origin
from service.requests.wording import Location, describe, dotted, pointer

RANDOM = "random"
BALANCED = "balanced"

_CLASSES_SHOWN = 20
# Sums this close to 1 are 1 in float32, in which the graph counts.
_SUM_TOLERANCE = 2.0**-24
# A class with less than this share of a blend is what rounding leaves where weights cancel one another.
_LEAST_BLEND = 1e-12


@dataclass(frozen=True)
class Label:
    """What one image shows: a single class, or a mixture as the weights of several, which sum to 1."""

    weights: dict[int, float]

    @property
    def index(self) -> int | None:
        """The class, or None for a mixture."""
        return next(iter(self.weights)) if len(self.weights) == 1 else None


def weights_matrix(labels: Sequence[Label], classes: int) -> NDArray[np.float32]:
    """Return the class weights of each label, float32 ``[N, K]``."""
    weights_NK = np.zeros((len(labels), classes), np.float32)
    for row, label in enumerate(labels):
        for index, weight in label.weights.items():
            weights_NK[row, index] = weight
    return weights_NK


def blended(labels: Sequence[Label], weights: Sequence[float]) -> Label | None:
    """Return the label of Σ w_k · label_k, clipped at 0 and renormalised; None if nothing is left."""
    shares: dict[int, list[float]] = {}
    for label, factor in zip(labels, weights, strict=True):
        for index, weight in label.weights.items():
            shares.setdefault(index, []).append(factor * weight)
    # Summed exactly, so that no order of the terms differs from another, and what cancels is 0.
    totals = {index: math.fsum(shares[index]) for index in sorted(shares)}
    size = math.fsum(abs(part) for parts in shares.values() for part in parts)
    left = {index: total for index, total in totals.items() if total > _LEAST_BLEND * size}
    return Label(_normalized(left)) if left else None


def between(first: Label, second: Label, t: float) -> Label:
    """Return the label a share ``t`` of the way from one to another; the ends are met exactly."""
    if t == 0.0 or first == second:
        return first
    mixed = blended((first, second), (1.0 - t, t))
    assert mixed is not None, "weights between weights are above 0"
    return mixed


def refuse_label(value: object, place: Location) -> None:
    """Raise ``InvalidInput`` for a label, given to a model that has no classes."""
    if value is not None:
        raise _fault(place, "this model has no classes; leave class_label out")


def read_label(value: Any, origin: Origin, classes: Sequence[str], place: Location) -> Label:  # noqa: ANN401 - a JSON value
    """Return the label that one value means for the image of one origin; raises ``InvalidInput``.

    None means the seed's own random class.
    """
    reader = _Reader(classes)
    if value is None:
        return reader.by_default([origin], place)[0]
    return reader.read(value, [origin], place)[0]


def read_labels(
    class_label: Any,  # noqa: ANN401 - a JSON value
    origins: Sequence[Origin],
    classes: Sequence[str] | None,
) -> list[Label] | None:
    """Return a label for each image, or None if the model has no classes.

    ``class_label`` is the request's value: an index, a name, ``random``, ``balanced``, weights, a list of
    these with one entry for each image, or None. Raises ``InvalidInput``.
    """
    if classes is None:
        refuse_label(class_label, ("class_label",))
        return None
    reader = _Reader(classes)
    if isinstance(class_label, list):
        if len(class_label) != len(origins):
            raise InvalidInput.at(
                "/class_label",
                f"class_label: the list has {len(class_label)} entries and there are {len(origins)} images; "
                "give one entry for each image",
            )
        return [
            reader.read(entry, [origin], ("class_label", place))[0]
            for place, (entry, origin) in enumerate(zip(class_label, origins, strict=True))
        ]
    if class_label is None:
        return reader.by_default(origins, ("class_label",))
    return reader.read(class_label, origins, ("class_label",))


class _Reader:
    """Reads labels of one model's classes."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._by_name = {name: index for index, name in enumerate(classes)}

    def read(self, value: Any, origins: Sequence[Origin], place: Location) -> list[Label]:  # noqa: ANN401 - a JSON value
        """Return what one value means for each of the images."""
        if isinstance(value, str) and value not in self._by_name:
            if value == RANDOM:
                return self._random(origins, place)
            if value == BALANCED:
                return self._balanced(origins, place)
        label = self._fixed(value, place)
        return [label] * len(origins)

    def by_default(self, origins: Sequence[Origin], place: Location) -> list[Label]:
        """Return the labels of a request that states none: each image's random class."""
        if any(origin.seed is None for origin in origins):
            raise _fault(
                place,
                "this model has classes and a latent without a seed draws none, so a class_label is needed; "
                f"{self._allowed(keywords=False)}",
            )
        return self._random(origins, place)

    def _fixed(self, value: Any, place: Location) -> Label:  # noqa: ANN401 - a JSON value
        if isinstance(value, str) and value in self._by_name:
            return Label({self._by_name[value]: 1.0})
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self._classes):
            return Label({value: 1.0})
        if isinstance(value, dict):
            return Label(self._weights(value, place))
        raise _fault(place, f"{describe(value)} is no class; {self._allowed()}")

    def _weights(self, value: dict[str, Any], place: Location) -> dict[int, float]:
        weights: dict[int, float] = {}
        for key, weight in value.items():
            here = (*place, key)
            index = self._key(key, here)
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not 0 <= weight <= 1e300:
                raise _fault(here, f"a weight must be a number from 0 to 1e300, not {describe(weight)}")
            if index in weights:
                raise _fault(here, f"the class {self._classes[index]!r} is named twice")
            weights[index] = float(weight)
        largest = max(weights.values(), default=0.0)
        if largest <= 0:
            raise _fault(place, "the weights must name at least one class with a weight above 0")
        return _normalized(weights)

    def _key(self, key: str, place: Location) -> int:
        if key in self._by_name:
            return self._by_name[key]
        if key.isascii() and key.isdecimal() and len(key) <= 9 and int(key) < len(self._classes):
            return int(key)
        raise _fault(place, f"{describe(key)} is no class; {self._allowed(keywords=False)}")

    def _random(self, origins: Sequence[Origin], place: Location) -> list[Label]:
        self._need_origins(origins, place, "random draws the class from an image's seed")
        drawn = random_class(
            [origin.seed or 0 for origin in origins],
            [origin.index or 0 for origin in origins],
            len(self._classes),
        )
        return [Label({int(index): 1.0}) for index in drawn]

    def _balanced(self, origins: Sequence[Origin], place: Location) -> list[Label]:
        self._need_origins(origins, place, "balanced takes the class from an image's index")
        return [Label({(origin.index or 0) % len(self._classes): 1.0}) for origin in origins]

    def _need_origins(self, origins: Sequence[Origin], place: Location, why: str) -> None:
        if any(origin.seed is None for origin in origins):
            raise _fault(place, f"{why}, and not every image here has one; {self._allowed(keywords=False)}")

    def _allowed(self, *, keywords: bool = True) -> str:
        shown = ", ".join(self._classes[:_CLASSES_SHOWN])
        more = ", …" if len(self._classes) > _CLASSES_SHOWN else ""
        also = f", {RANDOM} or {BALANCED}" if keywords else ""
        last = len(self._classes) - 1
        return f"give an index from 0 to {last}, a name ({shown}{more}), weights of these{also}"


def _normalized(weights: dict[int, float]) -> dict[int, float]:
    """Return the weights with sum 1, without those that are 0 to the graph, which counts in float32.

    Weights whose sum is 1 already stay as they are, to the last bit; a single one is exactly 1.
    """
    shares = weights
    if abs(math.fsum(weights.values()) - 1.0) > _SUM_TOLERANCE:
        largest = max(weights.values())
        scaled = {index: weight / largest for index, weight in weights.items()}
        total = math.fsum(scaled.values())
        shares = {index: weight / total for index, weight in scaled.items()}
    felt = {index: share for index, share in shares.items() if np.float32(share) > 0}
    return felt if len(felt) > 1 else dict.fromkeys(felt, 1.0)


def _fault(place: Location, sentence: str) -> InvalidInput:
    return InvalidInput.at(pointer(place), f"{dotted(place)}: {sentence}")
