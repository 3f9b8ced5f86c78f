"""The first GANs, fully connected: to learn from, not to deploy."""

from __future__ import annotations

from contract.latents import Prior
from training.part_config import Adam, Averaging, CganNetworks, Latent, MlpNetworks
from training.recipe_config import Recipe


def gaussian_1d() -> Recipe:
    """Return the fifty-line toy: numbers from uniform noise, three linear maps in each network.

    Tanh in G and sigmoid in D, as in the well-known introduction to GANs by one bell curve. Four
    noises rather than one: a smooth map of a single bounded number ends abruptly, a mixture of
    several has tails. Averaged weights take out the orbit that the two networks run about their
    equilibrium.
    """
    return Recipe(
        name="gaussian-1d",
        summary="numbers from a bell curve: the smallest GAN there is",
        latent=Latent(dim=4, prior=Prior.UNIFORM),
        networks=MlpNetworks(
            generator_hidden=(16, 16),
            discriminator_hidden=(32, 32),
            generator_activation="tanh",
            discriminator_activation="sigmoid",
        ),
        conditional=False,
        loss="non-saturating",
        generator_optimiser=Adam(learning_rate=2e-3, beta1=0.5, beta2=0.9),
        discriminator_optimiser=Adam(learning_rate=5e-3, beta1=0.5, beta2=0.9),
        batch_size=512,
        total_kimg=4000,
        learning_rate_decay=0.5,
        averaging=Averaging(halflife_kimg=250),
    )


def vanilla_shallow() -> Recipe:
    """Return the smallest GAN that draws images: one hidden layer of 128 ReLU units in each network.

    Noise uniform in (-1, 1), sigmoid levels, Glorot's first weights and cross-entropy, as in the classic
    tutorials that followed Goodfellow et al. 2014. G maximises log D(G(z)): as the game is written, it would
    hardly move at first. Adam's beta1 is 0.5: with the 0.9 of the tutorials all draws are one grey blot for
    the first million images.
    """
    return Recipe(
        name="vanilla-shallow",
        summary="the one-hidden-layer GAN, without classes; to learn from, not to deploy",
        latent=Latent(dim=100, prior=Prior.UNIFORM),
        networks=MlpNetworks(
            generator_hidden=(128,),
            discriminator_hidden=(128,),
            generator_activation="relu",
            discriminator_activation="relu",
            generator_output="sigmoid",
            initialisation="glorot",
        ),
        conditional=False,
        loss="non-saturating",
        generator_optimiser=Adam(learning_rate=1e-3, beta1=0.5, beta2=0.999),
        discriminator_optimiser=Adam(learning_rate=1e-3, beta1=0.5, beta2=0.999),
        batch_size=128,
        total_kimg=1000,
        averaging=Averaging(halflife_kimg=5),
    )


def vanilla() -> Recipe:
    """Return the GAN of Goodfellow et al. 2014 with three hidden layers, as it is usually taught.

    G 100-256-512-1024, D 1024-512-256 with dropout 0.3, LeakyReLU 0.2, tanh output; G maximises
    log D(G(z)) (the paper's section 3); Adam 2e-4. Here because people learn from it.
    """
    return Recipe(
        name="vanilla",
        summary="the three-hidden-layer GAN, without classes; to learn from, not to deploy",
        latent=Latent(dim=100),
        networks=MlpNetworks(
            generator_hidden=(256, 512, 1024),
            discriminator_hidden=(1024, 512, 256),
            generator_activation="leaky_relu",
            discriminator_activation="leaky_relu",
            discriminator_dropout=0.3,
        ),
        conditional=False,
        loss="non-saturating",
        generator_optimiser=Adam(learning_rate=2e-4, beta1=0.5, beta2=0.999),
        discriminator_optimiser=Adam(learning_rate=2e-4, beta1=0.5, beta2=0.999),
        batch_size=100,
        total_kimg=1000,
        averaging=Averaging(halflife_kimg=5),
    )


def cgan() -> Recipe:
    """Return the conditional GAN of Mirza and Osindero 2014.

    The label joins the noise in G and the image in D (maxout of 240 x 5 and 50 x 5, then 240 x 4, with
    dropout), noise uniform, sigmoid levels.

    As the paper has it, each class is drawn as nearly one image within the times that people train for here,
    as the label drowns the noise. So the noise has the 1000 ReLU units of G and the label the 200, not the
    other way round; batch norm follows, without which the noise moves a pixel by less than a hundredth at
    first; and there is no dropout in G, which varies the draws in the noise's stead and is off when drawing.
    Adam at 1e-3 stands for momentum with exponential decays, which belong to the paper's length of training.
    Its G is at ``networks.generator_noise=200``, ``networks.generator_labels=1000``,
    ``networks.generator_norm=none`` and ``networks.generator_dropout=0.5``.
    """
    return Recipe(
        name="cgan",
        summary="the first conditional GAN: the label joins the noise and the image; to learn from",
        latent=Latent(dim=100, prior=Prior.UNIFORM),
        networks=CganNetworks(),
        conditional=True,
        loss="non-saturating",
        generator_optimiser=Adam(learning_rate=1e-3, beta1=0.5, beta2=0.999),
        discriminator_optimiser=Adam(learning_rate=1e-3, beta1=0.5, beta2=0.999),
        batch_size=100,
        total_kimg=400,
        learning_rate_decay=0.5,
        averaging=Averaging(halflife_kimg=5),
    )
