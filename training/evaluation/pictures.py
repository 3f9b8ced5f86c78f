"""Pictures of a report, each as a PNG in a ``data:`` address: grids, strips, neighbours.

Shapes: N images, R rows of a strip, T frames, k neighbours.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.latents import Truncation, graph_input, standard_normal
from training.data.dataset import Part
from training.evaluation.neighbours import nearest
from training.evaluation.selection import spread
from training.grids import image_grid
from training.sampling import Float32, Sampler, finish, one_hot

Pixels = NDArray[np.uint8]

_LARGEST_TILE = 96
FRAMES = 12
NEIGHBOURS_SHOWN = 3


def data_address(picture: Image.Image) -> str:
    """Return the picture as a PNG's ``data:`` address."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _no_larger(pixels_NHWC: Pixels) -> Pixels:
    """Return the images, shrunk to at most 96 pixels an edge: a page of many must stay light."""
    edge = max(pixels_NHWC.shape[1:3])
    if edge <= _LARGEST_TILE:
        return pixels_NHWC
    height, width = (max(1, round(size * _LARGEST_TILE / edge)) for size in pixels_NHWC.shape[1:3])
    grey = pixels_NHWC.shape[3] == 1
    small = [
        np.asarray(
            Image.fromarray(image[..., 0] if grey else image).resize(
                (width, height), Image.Resampling.LANCZOS
            )
        )
        for image in pixels_NHWC
    ]
    return np.stack(small)[..., None] if grey else np.stack(small)


def grid(pixels_NHWC: Pixels, columns: int) -> Image.Image:
    """Lay images out in rows of ``columns``."""
    return image_grid(_no_larger(pixels_NHWC), columns)


def slerp(start_D: Float32, stop_D: Float32, shares_T: NDArray[np.float64]) -> Float32:
    """Return latents ``[T, D]`` on the arc between two (Shoemake 1985); on the line, where D is 1.

    The arc keeps the length that latents of many dimensions have; a line would cut through lengths
    that the generator was never shown.
    """
    first, second = start_D.astype(np.float64), stop_D.astype(np.float64)
    share_T1 = shares_T[:, None]
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if len(first) == 1 or np.sin(angle) < 1e-6:
        return np.asarray((1 - share_T1) * first + share_T1 * second, np.float32)
    arc = np.sin((1 - share_T1) * angle) * first + np.sin(share_T1 * angle) * second
    return np.asarray(arc / np.sin(angle), np.float32)


def class_walks(classes: int, rows: int) -> list[tuple[int, int]]:
    """Choose from which class to which other one each row walks; needs two classes or more."""
    steps = [1 + (classes // 2 - 1 + row) % (classes - 1) for row in range(rows)]
    starts = spread(classes, rows)
    return [(int(start), int(start + step) % classes) for start, step in zip(starts, steps, strict=True)]


@dataclass(frozen=True)
class Strips:
    """Draws interpolations of one generator, with the seed and truncation that a report is made with."""

    sampler: Sampler
    seed: int
    truncation: Truncation | None

    def between_seeds(self, rows: int) -> Image.Image:
        """Each row walks from one latent to another, in a class of its own."""
        pieces = []
        for row, label in enumerate(self._labels(rows)):
            ends = self._latents(2 * row, 2)
            latents = slerp(ends[0], ends[1], np.linspace(0, 1, FRAMES))
            weights = None if label is None else np.repeat(self._one_hot([label]), FRAMES, axis=0)
            pieces.append(self._draw(latents, weights))
        return grid(np.concatenate(pieces), FRAMES)

    def between_classes(self, walks: list[tuple[int, int]]) -> Image.Image:
        """Each row keeps one latent and walks from one class to another."""
        shares = np.linspace(0, 1, FRAMES, dtype=np.float32)[:, None]
        pieces = []
        for row, walk in enumerate(walks):
            ends = self._one_hot(list(walk))
            weights = (1 - shares) * ends[:1] + shares * ends[1:]
            latents = np.repeat(self._latents(row, 1), FRAMES, axis=0)
            pieces.append(self._draw(latents, weights))
        return grid(np.concatenate(pieces), FRAMES)

    def _labels(self, rows: int) -> list[int | None]:
        classes = self.sampler.spec.classes
        return [None] * rows if classes is None else [int(label) for label in spread(classes, rows)]

    def _latents(self, first: int, count: int) -> Float32:
        indices = np.arange(first, first + count)
        return standard_normal(np.full(count, self.seed), indices, self.sampler.spec.latent_dim)

    def _one_hot(self, labels: list[int]) -> Float32:
        return one_hot(np.array(labels), self.sampler.spec.classes or 1)

    def _draw(self, latents_TD: Float32, weights_TK: Float32 | None) -> Pixels:
        z = graph_input(latents_TD, self.sampler.prior, self.truncation)
        output = self.sampler.run(z, None if weights_TK is None else weights_TK.astype(np.float32))
        return np.asarray(finish(output, self.sampler.spec), np.uint8)


@dataclass(frozen=True)
class Neighbourhood:
    """One draw with its nearest training images, and how far the nearest is.

    ``distance`` is a share of the median distance from a held-out image, of the same class where classes
    are known, to its nearest training image.
    """

    picture: Image.Image
    distance: float


def neighbourhoods(
    drawn: Pixels, labels: NDArray[np.int64] | None, training: Part, held_out: Part, count: int
) -> list[Neighbourhood]:
    """Return the ``count`` draws that lie nearest to a training image in pixels, then as many others.

    The first are where copies would show; the others, evenly chosen by distance, are what is usual.
    """
    points = np.asarray(training.samples, np.uint8)
    shown = min(NEIGHBOURS_SHOWN, len(points))
    distances, rows = nearest(drawn, points, shown)
    usual = nearest(np.asarray(held_out.samples, np.uint8), points)[0][:, 0]
    shares = distances[:, 0] / _usual_for(labels, held_out, usual, len(drawn))
    order = np.argsort(shares, kind="stable")
    others = order[count:]
    chosen = np.concatenate([order[:count], others[spread(len(others), min(count, len(others)))]])
    return [
        Neighbourhood(
            grid(np.concatenate([drawn[[position]], points[rows[position]]]), 1 + shown),
            float(shares[position]),
        )
        for position in chosen
    ]


def _usual_for(
    labels: NDArray[np.int64] | None, held_out: Part, usual: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Return the median of the held-out images' distances, or that of each draw's class, for each draw.

    A one is nearer to other ones than an eight to other eights: by one median for all, the ones would
    always look like copies.
    """
    everyone = float(np.median(usual)) or 1.0
    if labels is None or held_out.labels is None:
        return np.full(count, everyone)
    medians = {
        int(label): float(np.median(usual[held_out.labels == label])) or everyone
        for label in np.unique(held_out.labels)
    }
    return np.array([medians.get(int(label), everyone) for label in labels])
