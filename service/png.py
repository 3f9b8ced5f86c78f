"""PNG files, written quickly: one filter for all rows, and ISA-L's deflate.

Source: PNG specification (third edition), W3C 2025. On small images Pillow's encoder takes three to seven
times as long for files of the same size, as it tries five filters for every row (``docs/performance.md``).
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""By the number of channels: grey, colour, colour with transparency."""
_UP = 2
"""The filter that subtracts from each byte the one above it."""
# Levels 1 and 2, which are little quicker, give other bytes for the same small image in one process of seven.
_LEVEL = 3
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def encode_png(image_HWC: NDArray[np.uint8], keyword: bytes, text: bytes) -> bytes:
    """Return the image, uint8 ``[H, W, C]`` with 1, 3 or 4 channels, as a PNG with a ``tEXt`` chunk.

    The chunk stands before the image data; its keyword and its text are ASCII.
    """
    height, width, channels = image_HWC.shape
    flat = image_HWC.reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=filtered[1:, 1:])
    data = isal_zlib.compress(filtered, _LEVEL)
    return b"".join(
        (
            _head(height, width, channels),
            *_chunk(b"tEXt", keyword + b"\0" + text),
            *_chunk(b"IDAT", data),
            _END,
        )
    )


@lru_cache(maxsize=64)
def _head(height: int, width: int, channels: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join((_SIGNATURE, *_chunk(b"IHDR", header)))


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    check = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", check)
