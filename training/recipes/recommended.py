"""What we recommend."""

from __future__ import annotations

from training.config import Recipe
from training.part_config import Adam, Augmentation, Averaging, Latent, ResnetNetworks


def default() -> Recipe:
    """Return what we recommend for any folder of images, with labels or without.

    Hinge loss with spectral norm in D (Miyato et al. 2018), class-conditional batch norm in G and a
    projection discriminator (Miyato and Koyama 2018), weights averaged (Yazici et al. 2019),
    differentiable augmentation (Zhao et al. 2020) by translation alone, which harms neither digits
    nor text.
    """
    return Recipe(
        name="default",
        summary="class-conditional residual GAN: hinge, spectral norm, projection, EMA, augmentation",
        latent=Latent(dim=64),
        networks=ResnetNetworks(),
        conditional=True,
        loss="hinge",
        generator_optimiser=Adam(learning_rate=2e-4),
        discriminator_optimiser=Adam(learning_rate=2e-4),
        batch_size=64,
        total_kimg=450,
        learning_rate_decay=0.25,
        augmentation=Augmentation(translation=0.125),
        averaging=Averaging(halflife_kimg=20),
    )
