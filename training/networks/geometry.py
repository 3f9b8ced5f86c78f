"""How convolutional networks of any image size are laid out: what is halved, and how wide each level is."""

from __future__ import annotations

from contract.manifest import ImageOutput
from training.errors import ConfigError
from training.networks.interface import GeneratorSpec

_COARSEST_EDGE = 4
_LARGEST_MULTIPLE = 8


def halvings(height: int, width: int, coarsest: int = _COARSEST_EDGE) -> int:
    """Return how often an image is halved on its way down: while both edges stay even and >= ``coarsest``."""
    count = 0
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= coarsest:
        height, width, count = height // 2, width // 2, count + 1
    return count


def channels_at(base: int, level: int) -> int:
    """Return the channels after so many halvings: doubled at each, up to eightfold."""
    return base * min(2**level, _LARGEST_MULTIPLE)


def image_output(spec: GeneratorSpec, family: str) -> ImageOutput:
    """Return the shape of the images; raises ``ConfigError`` for data of vectors."""
    if not isinstance(spec.output, ImageOutput):
        raise ConfigError(f"the {family} family draws images; for vectors take a recipe with mlp networks")
    return spec.output
