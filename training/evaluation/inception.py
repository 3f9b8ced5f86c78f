"""The standard FID, where its network is there: a TorchScript file of Inception's features.

The file is given by path and never fetched; its sha256 stands beside every figure, because the
figure means nothing without it. Shapes: N rows, F features.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.digests import sha256_digest
from training.errors import ConfigError
from training.evaluation.distances import Float64, blocks
from training.evaluation.spaces import Space

_ROWS_PER_BATCH = 50
_WITH_FEATURES = "return_features"


def _rgb(pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colour images: grey repeated three times, transparent ones laid over white."""
    channels = pixels_NHWC.shape[3]
    if channels == 4:
        alpha = pixels_NHWC[..., 3:] / 255.0
        return np.rint(pixels_NHWC[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)
    return pixels_NHWC if channels == 3 else np.repeat(pixels_NHWC[..., :1], 3, axis=3)


def load_inception(path: Path) -> Space:
    """Return the space of a TorchScript file that maps uint8 RGB ``[N, 3, H, W]`` to ``[N, F]``.

    Resizing is the file's own task, as in the files that are in use. One whose ``forward`` knows
    ``return_features`` is asked for features. Raises ``ConfigError`` for a file that is none.
    """
    if not path.is_file():
        raise ConfigError(f"--inception {path}: there is no such file")
    try:
        with warnings.catch_warnings():
            # The files in use are TorchScript, whatever torch recommends for new ones.
            warnings.simplefilter("ignore", DeprecationWarning)
            network = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise ConfigError(f"--inception {path} is no TorchScript file") from error
    known = {argument.name for argument in network.forward.schema.arguments}
    options: dict[str, Any] = {_WITH_FEATURES: True} if _WITH_FEATURES in known else {}

    @torch.no_grad()
    def features(pixels_NHWC: NDArray[np.uint8]) -> Float64:
        pieces = []
        for rows in blocks(len(pixels_NHWC), _ROWS_PER_BATCH):
            images = torch.from_numpy(np.ascontiguousarray(_rgb(pixels_NHWC[rows]).transpose(0, 3, 1, 2)))
            pieces.append(_checked(network, images, options, path))
        return np.concatenate(pieces)

    return Space(features, {"inception_digest": sha256_digest(path.read_bytes())})


def _checked(network: Any, images: torch.Tensor, options: dict[str, Any], path: Path) -> Float64:  # noqa: ANN401 - a compiled module
    try:
        found = network(images, **options)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConfigError(f"--inception {path} cannot take uint8 images: {reason}") from error
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(images):
        raise ConfigError(f"--inception {path} puts out no features of the shape [N, F]")
    return found.double().numpy()
