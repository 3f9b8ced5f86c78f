"""The one room where images are decoded and fitted: whatever the source, the same pixels come out.

Decoding takes the first frame, turned upright as EXIF says. Fitting scales deep levels to bytes, lays
transparency on white unless four channels are asked for, crops about the centre and resizes.

Two bounds are Pillow's: colour of 16 bits a channel loses its low byte when it is opened (grey of 16 bits
is rounded here), and JPEG decoders of different builds may differ by a level, and so the digests.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from training.config import FolderOptions
from training.errors import DataError

_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
_COLOUR_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_LARGEST_NATIVE_EDGE = 128
_DEFAULT_EDGE = 64
_FIRST_SIDEWAYS = 5
"""EXIF orientations from this one on lie on their side."""
_WHITE_OF_INTEGERS = 65535.0
_FLOAT_SLACK = 0.5
"""How far floats may leave 0 to 1, as filters overshoot; further out they mean other levels."""

_UNREADABLE = (
    # What Pillow raises for torn and twisted files; a campaign of broken bytes met most of these.
    Image.DecompressionBombError,
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class UnreadableImage(DataError):
    """One image cannot be decoded; the only fault that ``--skip-bad`` forgives."""

    def __init__(self, title: str, reason: str) -> None:
        super().__init__(f"{title} cannot be read as an image ({reason}); mend it or pass --skip-bad")
        self.title = title
        self.reason = reason


def _reason(title: str, error: BaseException) -> str:
    if title.lower().endswith((".heic", ".heif")):
        return "HEIC is not read: convert it to JPEG or PNG"
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    return str(error) or type(error).__name__


@contextmanager
def decoding(title: str) -> Iterator[None]:
    """Turn whatever a decoder raises into :class:`UnreadableImage` under the image's title."""
    try:
        yield
    except DataError:
        raise
    except _UNREADABLE as error:
        raise UnreadableImage(title, _reason(title, error)) from error


@dataclass(frozen=True)
class Header:
    """What an image says of itself before it is decoded: (width, height) when upright, and its mode."""

    size: tuple[int, int]
    mode: str

    @property
    def is_grey(self) -> bool:
        """Whether the mode has no colour."""
        return self.mode in _GREY_MODES


def header_of(image: Image.Image) -> Header:
    """Return the header of an image, open but not yet decoded."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_SIDEWAYS
    return Header(image.size[::-1] if turned else image.size, image.mode)


def upright(image: Image.Image) -> Image.Image:
    """Decode the first frame and turn it as its EXIF orientation says."""
    return ImageOps.exif_transpose(image)


@dataclass(frozen=True)
class Target:
    """What every image of a set becomes: uint8 ``[height, width, channels]``."""

    height: int
    width: int
    channels: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), as Pillow spells it."""
        return (self.width, self.height)


def choose_target(headers: Sequence[Header], options: FolderOptions) -> Target:
    """Return what is asked for; where nothing is, what the images agree on (see ``FolderOptions``)."""
    sizes = Counter(header.size for header in headers)
    width, height = next(iter(sizes))
    native = len(sizes) == 1 and max(width, height) <= _LARGEST_NATIVE_EDGE
    size = options.size or ((height, width) if native else (_DEFAULT_EDGE, _DEFAULT_EDGE))
    grey = all(header.is_grey for header in headers)
    return Target(*size, options.channels or (1 if grey else 3))


def as_bytes(image: Image.Image) -> Image.Image:
    """Scale integers of 16 bits and floats to grey bytes; other modes pass as they are.

    What white is follows from the mode, not from the picture, so that a dark file stays dark: 65,535
    for integers, 1 for floats.
    """
    if not image.mode.startswith("I") and image.mode != "F":
        return image
    levels = np.asarray(image, dtype=np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("it holds values that are no numbers")
    if image.mode == "F" and not -_FLOAT_SLACK <= levels.min() <= levels.max() <= 1 + _FLOAT_SLACK:
        raise ValueError(f"its floats run from {levels.min():g} to {levels.max():g}, where 0 to 1 is meant")
    white_level = 1.0 if image.mode == "F" else _WHITE_OF_INTEGERS
    return Image.fromarray(np.rint(np.clip(levels / white_level, 0, 1) * 255).astype(np.uint8))


def _in_mode(image: Image.Image, channels: int) -> Image.Image:
    plain = as_bytes(image)
    if channels != 4 and plain.has_transparency_data:
        rgba = plain.convert("RGBA")
        plain = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return plain.convert(_COLOUR_MODES[channels])


def fit(image: Image.Image, target: Target) -> NDArray[np.uint8]:
    """Crop to the target's proportions about the centre and resize (Lanczos, antialiased)."""
    fitted = _in_mode(image, target.channels)
    if fitted.size != target.size:
        fitted = ImageOps.fit(fitted, target.size, method=Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8).reshape(target.height, target.width, target.channels)


def share_cropped(size: tuple[int, int], target: Target) -> float:
    """Return the share of an image of (width, height) that the crop to the target takes away."""
    ratio = (size[0] * target.height) / (size[1] * target.width)
    return 1 - min(ratio, 1 / ratio)
