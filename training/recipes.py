"""Named, complete configurations: one function a recipe, its sources in its docstring."""

from __future__ import annotations

from collections.abc import Callable

from contract.latents import Prior
from training.config import Adam, Augmentation, Averaging, Latent, MlpNetworks, Recipe, ResnetNetworks
from training.errors import ConfigError


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


RECIPES: dict[str, Callable[[], Recipe]] = {
    "default": default,
    "gaussian-1d": gaussian_1d,
    "vanilla": vanilla,
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name; raises ``ConfigError`` listing the names there are."""
    if name not in RECIPES:
        listing = "; ".join(f"{known} ({build().summary})" for known, build in RECIPES.items())
        raise ConfigError(f"--recipe {name!r} is unknown; there are: {listing}. We recommend default.")
    return RECIPES[name]()
