"""The report's panels of pictures: class by class, between draws, beside training images."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.latents import Truncation
from training.data import Dataset
from training.data.dataset import Part
from training.evaluation.pictures import Strips, class_walks, data_address, grid, neighbourhoods
from training.evaluation.report import Report
from training.evaluation.request import parse_truncation
from training.sampling import Sampler

_ACROSS = 8
_DRAWS = 16
_REAL = 8
_MOST_CLASSES = 40
_UNLABELLED = 64
_STRIPS = 4
_COPIES = 6


def class_panels(report: Report, sampler: Sampler, dataset: Dataset, judge: str) -> str:
    """Return a card for each class, draws above real images; without classes, one large card."""
    facts, classes = report.facts, sampler.spec.classes
    training = dataset.part(held_out=False)
    if classes is None:
        drawn = sampler.draw(facts.seed, np.arange(_UNLABELLED), None, _truncation(report))
        read = ", ".join(f"{one.name} {one.draws / facts.images:.0%}" for one in report.classes)
        note = f"Read by the {judge}, as: {read}." if read else "The data has no classes."
        picture = _image(grid(np.asarray(drawn, np.uint8), _ACROSS), f"{_UNLABELLED} draws")
        return f"<figure>{picture}<figcaption>{escape(note)}</figcaption></figure>"
    cards, truncation = [], _truncation(report)
    for label, figures in enumerate(report.classes[:_MOST_CLASSES]):
        labels = np.full(_DRAWS, label, np.int64)
        drawn = np.asarray(sampler.draw(facts.seed, np.arange(_DRAWS), labels, truncation), np.uint8)
        real = np.asarray(training.samples[_rows_of(training, label)], np.uint8)
        accuracy = (
            "none judged" if figures.read_as_asked is None else f"{figures.read_as_asked:.1%} read as asked"
        )
        cards.append(
            f"<figure><h3>{escape(figures.name)}</h3>"
            f"{_image(grid(drawn, _ACROSS), f'draws of {figures.name}')}"
            f"<figcaption>{accuracy}, of {figures.draws}. Below: real training images.</figcaption>"
            f"{_image(grid(real, _ACROSS), f'real images of {figures.name}')}</figure>"
        )
    note = (
        f"Indices 0 to {_DRAWS - 1} of seed {facts.seed} in each class, as the API draws them. Read by the "
    )
    note += f"{judge}."
    if classes > _MOST_CLASSES:
        note += f" The first {_MOST_CLASSES} of {classes} classes are shown."
    return f'<p class="soft">{escape(note)}</p>\n<div class="cards">{"".join(cards)}</div>'


def interpolation_panels(report: Report, sampler: Sampler) -> str:
    """Return strips that walk between seeds and, with classes, between classes."""
    strips = Strips(sampler, report.facts.seed, _truncation(report))
    names = [figures.name for figures in report.classes]
    pictures = [
        (
            strips.between_seeds(_STRIPS),
            "Between two latents, along the arc. Every picture on the way should be as good as its ends.",
        )
    ]
    if sampler.spec.classes is not None and sampler.spec.classes > 1:
        rows = min(_STRIPS, sampler.spec.classes)
        walks = class_walks(sampler.spec.classes, rows)
        ways = ", ".join(f"{names[start]} to {names[stop]}" for start, stop in walks)
        pictures.append(
            (
                strips.between_classes(walks),
                f"One latent a row, from class to class: {ways}. Half-way is a mixture.",
            )
        )
    figures = "".join(
        f"<figure>{_image(picture, 'interpolation')}<figcaption>{escape(note)}</figcaption></figure>"
        for picture, note in pictures
    )
    return f'<div class="stack">{figures}</div>'


def neighbour_panels(report: Report, dataset: Dataset) -> str:
    """Return the draws that lie nearest to training images, then usual ones, each with its neighbours."""
    if report.pixels is None:
        raise ValueError("neighbours are of images")
    training, held_out = dataset.part(held_out=False), dataset.part(held_out=True)
    found = neighbourhoods(report.pixels, report.labels, training, held_out, _COPIES)
    of_whom = "" if report.labels is None else "of the same class "
    cards = "".join(
        f"<figure>{_image(one.picture, 'a draw and its nearest training images')}"
        f"<figcaption>{'nearest' if number < _COPIES else 'usual'}: {one.distance:.2f}</figcaption>"
        "</figure>"
        for number, one in enumerate(found)
    )
    note = (
        "Left the draw, then its nearest training images in pixels. The number is the distance to the "
        f"nearest one, over the median distance of held-out real images {of_whom}to theirs. The first "
        f"{_COPIES} have the least of all: copies would stand there."
    )
    return f'<p class="soft">{escape(note)}</p>\n<div class="cards small">{cards}</div>'


def _rows_of(training: Part, label: int) -> NDArray[np.intp]:
    return np.flatnonzero(training.labels == label)[:_REAL]


def _image(picture: Image.Image, alt: str) -> str:
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="{data_address(picture)}" alt="{escape(alt)}" {size}>'


def _truncation(report: Report) -> Truncation | None:
    text = report.facts.truncation
    return None if text is None else parse_truncation(text)
