"""Convolutional GANs without labels: DCGAN, and the critics that followed on its networks."""

from __future__ import annotations

from contract.latents import Prior
from training.part_config import Adam, Averaging, DcganNetworks, Latent, Penalties, RmsProp
from training.recipe_config import Recipe


def dcgan() -> Recipe:
    """Return DCGAN (Radford, Metz and Chintala 2015).

    Strided convolutions, batch norm in both networks, ReLU in G and LeakyReLU 0.2 in D, weights from
    N(0, 0.02²), Adam 2e-4 with beta1 0.5, noise uniform. One-sided label smoothing is from Salimans et al.
    2016; D sees real and drawn samples apart, so that its batch norm does not give them away. The paper's
    size is ``data`` of 64 x 64 with ``networks.generator_channels=128`` and as many in D.
    """
    return Recipe(
        name="dcgan",
        summary="strided convolutions and batch norm, without classes; the classic to compare with",
        latent=Latent(dim=100, prior=Prior.UNIFORM),
        networks=DcganNetworks(),
        conditional=False,
        loss="non-saturating",
        label_smoothing=0.1,
        generator_optimiser=Adam(learning_rate=2e-4, beta1=0.5, beta2=0.999),
        discriminator_optimiser=Adam(learning_rate=2e-4, beta1=0.5, beta2=0.999),
        separate_batches=True,
        batch_size=128,
        total_kimg=800,
        averaging=Averaging(halflife_kimg=5),
    )


def wgan() -> Recipe:
    """Return the Wasserstein GAN (Arjovsky, Chintala and Bottou 2017).

    DCGAN's networks with a critic whose weights are clipped to 0.01, RMSprop, five steps of the critic for
    one of G, batches of 64 (algorithm 1). The rate is 2e-4, four times the paper's, as it trains for minutes
    here; it falls over the second half, without which clipped weights never come to rest. The paper's:
    ``learning_rate=5e-5`` of both optimisers, ``learning_rate_decay=0``.
    """
    return Recipe(
        name="wgan",
        summary="a clipped critic in place of a judge, without classes; to learn from",
        latent=Latent(dim=100),
        networks=DcganNetworks(),
        conditional=False,
        loss="wasserstein",
        generator_optimiser=RmsProp(learning_rate=2e-4),
        discriminator_optimiser=RmsProp(learning_rate=2e-4),
        penalties=Penalties(weight_clipping=0.01),
        separate_batches=True,
        discriminator_steps=5,
        batch_size=64,
        total_kimg=2000,
        learning_rate_decay=0.5,
        averaging=Averaging(halflife_kimg=5),
    )


def wgan_gp() -> Recipe:
    """Return WGAN-GP (Gulrajani et al. 2017).

    Gradient penalty 10 in place of clipping, layer norm in the critic (batch norm would tie its rows
    together; the paper's section 4), Adam (0, 0.9), five steps of the critic, batches of 64. The rate is
    3e-4, three times the paper's, as it trains for minutes here.
    """
    return Recipe(
        name="wgan-gp",
        summary="a critic whose slope is held at one, without classes; steady and slow",
        latent=Latent(dim=128),
        networks=DcganNetworks(discriminator_norm="layer"),
        conditional=False,
        loss="wasserstein",
        generator_optimiser=Adam(learning_rate=3e-4),
        discriminator_optimiser=Adam(learning_rate=3e-4),
        penalties=Penalties(gradient_penalty=10.0),
        discriminator_steps=5,
        batch_size=64,
        total_kimg=2000,
        averaging=Averaging(halflife_kimg=5),
    )
