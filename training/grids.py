"""Pictures of many samples at once: image grids, and histograms of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.sampling import Sampler, balanced_labels

_GAP = 1
_SMALLEST_TILE = 48
_HISTOGRAM_SIZE = (480, 240)
_BINS = 60
_GRID_COLUMNS = 10
_GRID_ROWS = 10
_HISTOGRAM_DRAWS = 5000
_SAMPLE_SEED = 0


def image_grid(pixels_NHWC: NDArray[np.uint8], columns: int) -> Image.Image:
    """Lay uint8 ``[N, H, W, C]`` out in rows of ``columns``; small images are enlarged evenly."""
    count, height, width, channels = pixels_NHWC.shape
    rows = -(-count // columns)
    canvas = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, channels), 128, np.uint8
    )
    for position, image in enumerate(pixels_NHWC):
        top = (position // columns) * (height + _GAP) + _GAP
        left = (position % columns) * (width + _GAP) + _GAP
        canvas[top : top + height, left : left + width] = image
    grid = Image.fromarray(canvas[..., 0] if channels == 1 else canvas)
    factor = max(1, -(-_SMALLEST_TILE // max(height, width)))
    return grid.resize((grid.width * factor, grid.height * factor), Image.Resampling.NEAREST)


def histogram(values: NDArray[np.float32]) -> Image.Image:
    """Draw how often values (float32, any shape, finite) fall in each of 60 bins."""
    counts, edges = np.histogram(values.ravel(), bins=_BINS)
    width, height = _HISTOGRAM_SIZE
    image = Image.new("L", _HISTOGRAM_SIZE, 255)
    draw = ImageDraw.Draw(image)
    bar = width / _BINS
    for position, count in enumerate(counts):
        top = height - 20 - (height - 30) * count / max(counts.max(), 1)
        draw.rectangle([position * bar, top, (position + 1) * bar - 1, height - 20], fill=64)
    draw.text((2, height - 16), f"{edges[0]:.2f}", fill=0)
    draw.text((width - 50, height - 16), f"{edges[-1]:.2f}", fill=0)
    return image


def draw_overview(sampler: Sampler) -> Image.Image:
    """Draw the fixed latent batch: a hundred images (columns follow the classes), or a histogram."""
    spec = sampler.spec
    if spec.output.kind == "vector":
        values = sampler.draw(_SAMPLE_SEED, np.arange(_HISTOGRAM_DRAWS), None)
        return histogram(values.astype(np.float32))
    columns = _GRID_COLUMNS if spec.classes is None else min(spec.classes, 2 * _GRID_COLUMNS)
    indices = np.arange(columns * _GRID_ROWS)
    labels = None if spec.classes is None else balanced_labels(len(indices), columns)
    return image_grid(sampler.draw(_SAMPLE_SEED, indices, labels).astype(np.uint8), columns)
