"""PNG files are the image's pixels, and the same bytes wherever they are written."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from service.png import encode_png
from tests.fakes.server import ROOT

_PROCESSES = 25
# ISA-L's quicker levels give other bytes for some of these in one process of seven. That would harm caches,
# which take a strong tag at its word.
_WRITES_MANY = "from tests.service.test_png import digest_of_all; print(digest_of_all())"


def images() -> Iterator[np.ndarray]:
    """Return images of few colours, from two pixels square."""
    random = np.random.default_rng(0)
    for side in (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 32, 48, 64):
        for channels in (1, 3, 4):
            for levels in (1, 2, 3, 8, 256):
                yield random.integers(0, levels, (side, side, channels), dtype=np.uint8)


def digest_of_all() -> str:
    files = b"".join(encode_png(image, b"forger", b"{}") for image in images())
    return hashlib.sha256(files).hexdigest()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_file_holds_the_pixels_and_the_text(channels: int) -> None:
    for image in images():
        if image.shape[2] == channels:
            with Image.open(io.BytesIO(encode_png(image, b"forger", b'{"seed":1}'))) as read:
                pixels = np.asarray(read).reshape(image.shape)
                assert (pixels.tolist(), read.text) == (image.tolist(), {"forger": '{"seed":1}'})


def test_every_process_writes_the_same_bytes() -> None:
    written = [
        subprocess.run(
            [sys.executable, "-c", _WRITES_MANY],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for _ in range(_PROCESSES)
    ]
    assert set(written) == {digest_of_all()}
