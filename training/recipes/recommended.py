"""What we recommend."""

from __future__ import annotations

from training.part_config import Adam, Augmentation, Averaging, DcganNetworks, Latent
from training.recipe_config import Recipe


def default() -> Recipe:
    """Return what we recommend for any folder of images, with labels or without.

    Hinge loss with spectral norm and no other norm in D (Miyato et al. 2018), class-conditional batch norm in
    G and a projection discriminator (Miyato and Koyama 2018), weights averaged (Yazici et al. 2019),
    differentiable augmentation (Zhao et al. 2020) by translation alone, which harms neither digits nor text.

    All that on DCGAN's strided networks (Radford et al. 2015), small batches and a high rate: per second of
    computing they learn many times faster than residual networks do, and spectral norm keeps them steady.
    """
    return Recipe(
        name="default",
        summary="strided convolutions, hinge, spectral norm, projection, EMA, augmentation; classes or none",
        latent=Latent(dim=64),
        networks=DcganNetworks(discriminator_norm="none", spectral_norm=True, initialisation="glorot"),
        conditional=True,
        loss="hinge",
        generator_optimiser=Adam(learning_rate=1e-3),
        discriminator_optimiser=Adam(learning_rate=1e-3),
        batch_size=32,
        total_kimg=600,
        learning_rate_decay=0.25,
        augmentation=Augmentation(translation=0.1),
        averaging=Averaging(halflife_kimg=20),
    )
