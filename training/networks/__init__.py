"""The networks: one file a family, built from a recipe's settings by :func:`build_networks`."""

from __future__ import annotations

from training.networks.build import Pair, build_generator, build_networks
from training.networks.interface import Discriminator, Generator, GeneratorSpec

__all__ = ["Discriminator", "Generator", "GeneratorSpec", "Pair", "build_generator", "build_networks"]
