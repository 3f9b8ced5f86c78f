"""Which of a model's files is run: float32, or on a GPU, if asked for, its variant in float16."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from contract.layout import FLOAT16_FILE, GENERATOR_FILE
from contract.manifest import Manifest
from service.settings import Precision

logger = logging.getLogger("forger.repository")


@dataclass(frozen=True)
class Variant:
    """A file of a model, and how far its canaries may be off on another machine."""

    precision: Precision
    file: str
    levels: int
    """Of 255."""
    tolerance: float
    """Of vectors, absolute and relative."""


FLOAT32 = Variant("float32", GENERATOR_FILE, levels=2, tolerance=1e-3)
FLOAT16 = Variant("float16", FLOAT16_FILE, levels=5, tolerance=0.03)


def chosen_variant(manifest: Manifest, wanted: Precision, device: str) -> Variant:
    """Return the variant to run: the CPU computes in float32 whatever is wanted, as it does so faster."""
    if wanted == "float32" or device != "cuda":
        return FLOAT32
    if manifest.float16_parity is None:
        logger.warning("model %s:%d has no float16 variant", manifest.name, manifest.version)
        return FLOAT32
    return FLOAT16
