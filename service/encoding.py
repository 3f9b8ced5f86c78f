"""Drawn arrays as files: PNG, JPEG, WebP, GIF, NPY, ZIP, and the pictures that show many at once.

Images are uint8 ``[H, W, C]`` with 1, 3 or 4 channels.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.png import encode_png

RECIPE_KEY = "forger"
"""The keyword of the PNG text chunk that says how to draw the image again."""

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "npy": "application/x-npy",
    "json": "application/json",
    "gif": "image/gif",
    "zip": "application/zip",
}

_GRID_GAP = 2
_GRID_LEVEL = 96
_HISTOGRAM_SIZE = (640, 400)
_HISTOGRAM_MARGIN = 44

Pixels = NDArray[np.uint8]


def encode_image(image_HWC: Pixels, file_format: str, quality: int, recipe: Mapping[str, Any]) -> bytes:
    """Return the image as a ``png`` (with its recipe, before the image data), ``jpeg`` or ``webp``."""
    if file_format == "png":
        return encode_png(image_HWC, RECIPE_KEY.encode("ascii"), _as_ascii(recipe))
    picture = _picture(image_HWC)
    buffer = io.BytesIO()
    if file_format == "jpeg":
        # JPEG knows no transparency: what is transparent becomes black.
        opaque = picture.convert("RGB") if picture.mode == "RGBA" else picture
        opaque.save(buffer, "JPEG", quality=quality)
    else:
        picture.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def _as_ascii(recipe: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(recipe)
    if text.isascii():
        return text
    return json.dumps(orjson.loads(text), separators=(",", ":")).encode("ascii")


@cache
def png_encoder() -> str:
    """Return a name of what packs pixels into PNG files, and would pack others if it were another.

    It is a digest of what becomes of a known picture: versions, and processors, make other bytes of the same
    pixels.
    """
    known = np.random.default_rng(0).integers(0, 40, (64, 64, 3), np.uint8)
    return f"png-{hashlib.sha256(encode_image(known, 'png', 0, {})).hexdigest()[:16]}"


def encode_animation(images_NHWC: Pixels, file_format: str, quality: int, fps: int) -> bytes:
    """Return the images as an endless animation: ``gif`` (256 colours an image) or ``webp``."""
    first, *others = (_picture(image) for image in images_NHWC)
    buffer = io.BytesIO()
    if file_format == "gif":
        # Time in a GIF runs in hundredths of a second, and viewers slow down what stays for only one.
        shown_ms = _durations_ms(len(images_NHWC), fps, unit_ms=10, least_ms=20)
        # What is transparent must not show the image before it.
        disposal = 2 if first.mode == "RGBA" else 1
        first.save(
            buffer, "GIF", save_all=True, append_images=others, duration=shown_ms, loop=0, disposal=disposal
        )
    else:
        shown_ms = _durations_ms(len(images_NHWC), fps, unit_ms=1, least_ms=1)
        first.save(
            buffer, "WEBP", save_all=True, append_images=others, duration=shown_ms, loop=0, quality=quality
        )
    return buffer.getvalue()


def _durations_ms(count: int, fps: int, *, unit_ms: int, least_ms: int) -> list[int]:
    """Return how long each image is shown, in whole units that add up to what ``fps`` asks for."""
    ends = [round(number * 1000 / fps / unit_ms) * unit_ms for number in range(count + 1)]
    return [max(least_ms, after - before) for before, after in pairwise(ends)]


def encode_zip(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an archive of named files, the same bytes for the same files; images are packed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            if name.endswith(".jsonl"):
                entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def encode_npy(array: NDArray[Any]) -> bytes:
    """Return the array as an NPY file, version 1.0."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _picture(image_HWC: Pixels) -> Image.Image:
    return Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC)


def square_cells(count: int) -> list[tuple[int, int]]:
    """Return the (row, column) of each image in a grid about as wide as it is high."""
    columns = math.ceil(math.sqrt(count))
    return [divmod(place, columns) for place in range(count)]


def class_cells(classes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the (row, column) of each image in a grid with a row for each class, in the classes' order."""
    rows = {index: row for row, index in enumerate(sorted(set(classes)))}
    filled = dict.fromkeys(rows, 0)
    cells = []
    for index in classes:
        cells.append((rows[index], filled[index]))
        filled[index] += 1
    return cells


def draw_grid(images_NHWC: Pixels, cells: Sequence[tuple[int, int]]) -> Pixels:
    """Return one image that shows each of the N images in its cell, with a thin line between them."""
    _, height, width, channels = images_NHWC.shape
    rows = 1 + max(row for row, _ in cells)
    columns = 1 + max(column for _, column in cells)
    shape = (rows * (height + _GRID_GAP) - _GRID_GAP, columns * (width + _GRID_GAP) - _GRID_GAP, channels)
    canvas = np.full(shape, _GRID_LEVEL, np.uint8)
    for image, (row, column) in zip(images_NHWC, cells, strict=True):
        top, left = row * (height + _GRID_GAP), column * (width + _GRID_GAP)
        canvas[top : top + height, left : left + width] = image
    return canvas


def draw_histogram(values: NDArray[np.float32]) -> Pixels:
    """Return a picture of how finite values are spread: bars, the range, mean and standard deviation."""
    flat = values.astype(np.float64).ravel()
    width, height = _HISTOGRAM_SIZE
    margin = _HISTOGRAM_MARGIN
    bins = max(10, min(80, math.ceil(math.sqrt(flat.size))))
    counts, edges = np.histogram(flat, bins=bins)
    picture = Image.new("L", _HISTOGRAM_SIZE, 255)
    pen = ImageDraw.Draw(picture)
    step = (width - 2 * margin) / bins
    floor = height - margin
    for place, share in enumerate(counts / counts.max()):
        top = floor - share * (height - 2 * margin)
        pen.rectangle((margin + place * step, top, margin + (place + 1) * step - 1, floor), fill=70)
    pen.line((margin, floor, width - margin, floor), fill=0)
    pen.text((margin, floor + 8), f"{edges[0]:.4g}", fill=0)
    pen.text((width - margin, floor + 8), f"{edges[-1]:.4g}", fill=0, anchor="ra")
    title = f"{flat.size} values, mean {flat.mean():.4g}, standard deviation {flat.std():.4g}"
    pen.text((margin, margin / 2), title, fill=0)
    return np.asarray(picture, np.uint8)[:, :, np.newaxis]
