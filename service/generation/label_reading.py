"""Class labels as requests spell them: from an index, a name, a keyword or weights to a label an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from contract.latents import random_class
from service.generation.labels import Label, LabelsToDraw, normalized
from service.generation.latent_refs import Origin, OriginsOfSeed
from service.requests.wording import Location, describe, fault_at

RANDOM = "random"
BALANCED = "balanced"

_CLASSES_SHOWN = 20


def refuse_label(value: object, place: Location) -> None:
    """Raise ``InvalidInput`` for a label, given to a model that has no classes."""
    if value is not None:
        raise fault_at(place, "this model has no classes; leave class_label out")


def read_labels(
    class_label: Any,  # noqa: ANN401 - a JSON value
    origins: Sequence[Origin],
    classes: Sequence[str] | None,
) -> Sequence[Label] | None:
    """Return a label for each image, or None if the model has no classes.

    ``class_label`` is the request's value: an index, a name, ``random``, ``balanced``, weights, a list of
    these with one entry for each image, or None. Raises ``InvalidInput``.
    """
    place = ("class_label",)
    if classes is None:
        refuse_label(class_label, place)
        return None
    reader = label_reader(classes)
    if isinstance(class_label, list):
        return reader.each_of(class_label, origins, place)
    if class_label is None:
        return reader.by_default(origins, place)
    return reader.all_of(class_label, origins, place)


class LabelReader:
    """Reads what requests say of one model's classes; every method raises ``InvalidInput``."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._by_name = {name: index for index, name in enumerate(classes)}
        self._single = [Label({index: 1.0}) for index in range(len(classes))]

    def one(self, value: Any, origin: Origin, place: Location) -> Label:  # noqa: ANN401 - a JSON value
        """Return the label that one value means for the image of one origin; None is its random class."""
        if value is None:
            return self.by_default([origin], place)[0]
        return self.all_of(value, [origin], place)[0]

    def each_of(self, values: Sequence[Any], origins: Sequence[Origin], place: Location) -> list[Label]:
        """Return the labels of a list with one entry for each image."""
        if len(values) != len(origins):
            raise fault_at(
                place,
                f"the list has {len(values)} entries and there are {len(origins)} images; give one entry for "
                "each image",
            )
        at_random = [entry == RANDOM and RANDOM not in self._by_name for entry in values]
        # All at once: to draw a hundred costs as much as to draw one.
        seeded = [origin for origin, drawn in zip(origins, at_random, strict=True) if drawn]
        random = iter(self._random(seeded, place) if seeded else ())
        return [
            next(random) if drawn else self.all_of(entry, [origin], (*place, number))[0]
            for number, (entry, origin, drawn) in enumerate(zip(values, origins, at_random, strict=True))
        ]

    def all_of(self, value: Any, origins: Sequence[Origin], place: Location) -> Sequence[Label]:  # noqa: ANN401 - a JSON value
        """Return what one value means for each of the images."""
        if isinstance(value, str) and value not in self._by_name:
            if value == RANDOM:
                return self._random(origins, place)
            if value == BALANCED:
                return self._balanced(origins, place)
        keywords = _have_seeds(origins)
        label = self._fixed(value, place, keywords=keywords)
        return [label] * len(origins)

    def by_default(self, origins: Sequence[Origin], place: Location) -> Sequence[Label]:
        """Return the labels of a request that states none: each image's random class."""
        if not _have_seeds(origins):
            raise fault_at(
                place,
                "this model has classes, and only an image of a seed draws its own: a class_label is needed; "
                f"{self._allowed(keywords=False)}",
            )
        return self._drawn_later(origins)

    def _fixed(self, value: Any, place: Location, *, keywords: bool) -> Label:  # noqa: ANN401 - a JSON value
        if isinstance(value, str) and value in self._by_name:
            return self._single[self._by_name[value]]
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self._classes):
            return self._single[value]
        if isinstance(value, dict):
            return Label(self._weights(value, place))
        raise fault_at(place, f"{describe(value)} is no class; {self._allowed(keywords=keywords)}")

    def _weights(self, value: dict[str, Any], place: Location) -> dict[int, float]:
        weights: dict[int, float] = {}
        for key, weight in value.items():
            here = (*place, key)
            index = self._key(key, here)
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not 0 <= weight <= 1e300:
                raise fault_at(here, f"a weight must be a number from 0 to 1e300, not {describe(weight)}")
            if index in weights:
                raise fault_at(here, f"the class {self._classes[index]!r} is named twice")
            weights[index] = float(weight)
        largest = max(weights.values(), default=0.0)
        if largest <= 0:
            raise fault_at(place, "the weights must name at least one class with a weight above 0")
        return normalized(weights)

    def _key(self, key: str, place: Location) -> int:
        if key in self._by_name:
            return self._by_name[key]
        if key.isascii() and key.isdecimal() and len(key) <= 9 and int(key) < len(self._classes):
            return int(key)
        raise fault_at(place, f"{describe(key)} is no class; {self._allowed(keywords=False)}")

    def _random(self, origins: Sequence[Origin], place: Location) -> Sequence[Label]:
        self._need_origins(origins, place, "random draws the class from an image's seed")
        return self._drawn_later(origins)

    def _drawn_later(self, origins: Sequence[Origin]) -> Sequence[Label]:
        def draw() -> list[Label]:
            seeds = [origin.seed or 0 for origin in origins]
            indices = [origin.index or 0 for origin in origins]
            drawn = random_class(seeds, indices, len(self._classes))
            return [self._single[index] for index in drawn.tolist()]

        return LabelsToDraw(len(origins), draw)

    def _balanced(self, origins: Sequence[Origin], place: Location) -> Sequence[Label]:
        self._need_origins(origins, place, "balanced takes the class from an image's index")
        return [self._single[(origin.index or 0) % len(self._classes)] for origin in origins]

    def _need_origins(self, origins: Sequence[Origin], place: Location, why: str) -> None:
        if not _have_seeds(origins):
            raise fault_at(place, f"{why}, and not every image here has one; {self._allowed(keywords=False)}")

    def _allowed(self, *, keywords: bool) -> str:
        shown = ", ".join(self._classes[:_CLASSES_SHOWN])
        more = ", …" if len(self._classes) > _CLASSES_SHOWN else ""
        also = f", {RANDOM} or {BALANCED}" if keywords else ""
        last = len(self._classes) - 1
        return f"give an index from 0 to {last}, a name ({shown}{more}), weights of these{also}"


def _have_seeds(origins: Sequence[Origin]) -> bool:
    return isinstance(origins, OriginsOfSeed) or None not in map(attrgetter("seed"), origins)


_reader = lru_cache(maxsize=64)(LabelReader)


def label_reader(classes: Sequence[str]) -> LabelReader:
    """Return the reader of a model's classes, which is kept: a thousand names take a while to learn."""
    return _reader(tuple(classes))
