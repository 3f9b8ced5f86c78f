"""The auxiliary-classifier GAN of Odena, Olah and Shlens 2017, on strided convolutions.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.conditioning import ClassEmbedding, classes_of, required
from training.networks.dcgan import StridedGenerator, StridedTrunk
from training.networks.discriminating import maybe_spectral
from training.networks.geometry import image_output
from training.networks.initialisation import initialise
from training.networks.interface import Discriminator, Generator, GeneratorSpec, Verdict
from training.part_config import AcganNetworks


class AcganGenerator(Generator):
    """The noise times the class's embedding, number by number, through transposed convolutions."""

    def __init__(self, config: AcganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(classes_of(spec, "acgan"), spec.latent_dim)
        self.layers = StridedGenerator(config, spec.latent_dim, image_output(spec, "acgan"))
        initialise(self, config.initialisation)

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:
        """Draw images; see :class:`Generator`."""
        return self.layers(latent_ND * self.embedding(required(class_weights_NK)))


class AcganDiscriminator(Discriminator):
    """One trunk, two heads: whether an image is real, and which class it shows; it is told no class."""

    def __init__(self, config: AcganNetworks, spec: GeneratorSpec) -> None:
        super().__init__()
        classes = classes_of(spec, "acgan") + int(config.fake_class)
        self.trunk = StridedTrunk(config, image_output(spec, "acgan"))
        self.score = maybe_spectral(nn.Linear(self.trunk.features, 1), config)
        self.classify = maybe_spectral(nn.Linear(self.trunk.features, classes), config)
        initialise(self, config.initialisation)

    def forward(self, samples: Tensor, class_weights_NK: Tensor | None = None) -> Verdict:
        """Judge images; see :class:`Discriminator`."""
        del class_weights_NK
        features = self.trunk(samples)
        return Verdict(self.score(features).squeeze(1), self.classify(features))
