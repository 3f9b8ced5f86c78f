"""From a recipe's network settings to modules: the one place that knows all families."""

from __future__ import annotations

from dataclasses import dataclass

from training.networks.acgan import AcganDiscriminator, AcganGenerator
from training.networks.cgan import CganDiscriminator, CganGenerator
from training.networks.dcgan import DcganDiscriminator, DcganGenerator
from training.networks.interface import Discriminator, Generator, GeneratorSpec
from training.networks.mlp import MlpDiscriminator, MlpGenerator
from training.networks.r3gan import R3ganDiscriminator, R3ganGenerator
from training.networks.resnet import ResnetDiscriminator, ResnetGenerator
from training.networks.virtual_batch import ReferencedGenerator
from training.part_config import (
    AcganNetworks,
    CganNetworks,
    DcganNetworks,
    MlpNetworks,
    Networks,
    R3ganNetworks,
    ResnetNetworks,
)


@dataclass(frozen=True)
class Pair:
    """The two players."""

    generator: Generator
    discriminator: Discriminator


def build_generator(config: Networks, spec: GeneratorSpec) -> Generator:
    """Build an untrained generator, drawing its weights from torch's global generator."""
    generator = _generator(config, spec)
    if config.virtual_batch_norm:
        return ReferencedGenerator(generator, spec, config.virtual_batch_norm)
    return generator


def _generator(config: Networks, spec: GeneratorSpec) -> Generator:
    match config:
        case MlpNetworks():
            return MlpGenerator(config, spec)
        case CganNetworks():
            return CganGenerator(config, spec)
        case DcganNetworks():
            return DcganGenerator(config, spec)
        case AcganNetworks():
            return AcganGenerator(config, spec)
        case R3ganNetworks():
            return R3ganGenerator(config, spec)
        case ResnetNetworks():
            return ResnetGenerator(config, spec)


def build_networks(config: Networks, spec: GeneratorSpec) -> Pair:
    """Build both networks, untrained, drawing their weights from torch's global generator."""
    generator = build_generator(config, spec)
    match config:
        case MlpNetworks():
            return Pair(generator, MlpDiscriminator(config, spec))
        case CganNetworks():
            return Pair(generator, CganDiscriminator(config, spec))
        case DcganNetworks():
            return Pair(generator, DcganDiscriminator(config, spec))
        case AcganNetworks():
            return Pair(generator, AcganDiscriminator(config, spec))
        case R3ganNetworks():
            return Pair(generator, R3ganDiscriminator(config, spec))
        case ResnetNetworks():
            return Pair(generator, ResnetDiscriminator(config, spec))
