"""What every peer shares, so that only the serving differs: a session, latents, pixels and files.

``BENCH_MODEL`` names the ONNX file: float32 ``[N, 100]`` in, float32 ``[N, C, H, W]`` in [-1, 1] out.
"""

from __future__ import annotations

import base64
import io
import os

import cv2
import numpy as np
import onnxruntime

cv2.setNumThreads(1)
_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class Generator:
    """One session on two threads, which do not spin: what suits a shared machine best."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("BENCH_THREADS", "2"))
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.images(latents(1, 0))

    def images(self, latents_ND: np.ndarray) -> np.ndarray:
        """Draw uint8 ``[N, H, W, C]``."""
        drawn = self._session.run(None, {"latent": latents_ND})[0]
        levels = np.clip(drawn * 127.5 + 128.0, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))


def latents(count: int, seed: int) -> np.ndarray:
    """Draw float32 ``[count, 100]``."""
    random = np.random.Generator(np.random.Philox(seed))
    return random.standard_normal((count, 100), dtype=np.float32)


def png_text(image: np.ndarray) -> str:
    """Return an image as PNG in base64."""
    shown = image[..., ::-1] if image.shape[-1] == 3 else image
    return base64.b64encode(cv2.imencode(".png", shown, _FAST)[1].tobytes()).decode("ascii")


def array_file(array: np.ndarray) -> bytes:
    """Return an array as an NPY file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0))
    return stream.getvalue()
