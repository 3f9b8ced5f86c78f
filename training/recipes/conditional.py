"""Class-conditional GANs for images, in the order of their papers."""

from __future__ import annotations

from training.part_config import (
    AcganNetworks,
    Adam,
    Averaging,
    Latent,
    Penalties,
    R3ganNetworks,
    ResnetNetworks,
)
from training.recipe_config import Recipe


def acgan() -> Recipe:
    """Return the auxiliary-classifier GAN (Odena, Olah and Shlens 2017).

    The noise is multiplied by the class's embedding; D tells real from drawn and names the class, and both
    players gain by the right name (equation 3), as cross-entropy on logits. Adam 2e-4 with beta1 0.5, dropout
    0.5 in D. ``networks.fake_class=true`` gives the class head a class of its own for what is drawn.
    """
    return Recipe(
        name="acgan",
        summary="D names the class as well: conditional, with little variety inside a class",
        latent=Latent(dim=100),
        networks=AcganNetworks(),
        conditional=True,
        loss="non-saturating",
        class_loss=1.0,
        generator_optimiser=Adam(learning_rate=2e-4, beta1=0.5, beta2=0.999),
        discriminator_optimiser=Adam(learning_rate=2e-4, beta1=0.5, beta2=0.999),
        separate_batches=True,
        batch_size=100,
        total_kimg=800,
        averaging=Averaging(halflife_kimg=5),
    )


def sagan() -> Recipe:
    """Return the self-attention GAN (Zhang, Goodfellow, Metaxas and Odena 2018).

    Self-attention and spectral norm in both networks, hinge loss, conditional batch norm, projection, two
    time scales, D's rate four times G's, Adam (0, 0.9). It trains for minutes here, so the rates are three
    times the paper's 1e-4 and 4e-4, on narrower networks and batches of 32 in place of 64 channels and 256.
    Attention stands where an edge is at most 16 pixels long; in the paper it is 32 of 128
    (``networks.attention_edge=32``).
    """
    return Recipe(
        name="sagan",
        summary="self-attention and spectral norm in both networks; conditional",
        latent=Latent(dim=128),
        networks=ResnetNetworks(
            generator_channels=16, discriminator_channels=16, attention_edge=16, generator_spectral_norm=True
        ),
        conditional=True,
        loss="hinge",
        generator_optimiser=Adam(learning_rate=3e-4),
        discriminator_optimiser=Adam(learning_rate=1.2e-3),
        batch_size=32,
        total_kimg=450,
        learning_rate_decay=0.25,
        averaging=Averaging(halflife_kimg=10),
    )


def biggan() -> Recipe:
    """Return BigGAN (Brock, Donahue and Simonyan 2018) at a size that trains here.

    The latent split over the blocks beside a shared class embedding, self-attention, spectral norm in both
    networks, orthogonal initialisation and regularisation (1e-4, equation 3), hinge loss, averaged weights,
    batches twice as large as sagan's, Adam (0, 0.999), truncation when drawing.

    The rates are 6e-4 for both and D plays as often as G: the paper's 5e-5 and 2e-4 with two D steps belong
    to its batches of 2048, and with batches that are paid for in minutes G has not learned the classes by
    then. The paper's size: images of 128 pixels, ``batch_size=2048``, ``discriminator_steps=2``, 96 channels,
    ``latent.dim=120``, ``embedding_dim=128`` and ``attention_edge=64`` of the networks, and those rates.
    """
    return Recipe(
        name="biggan",
        summary="the latent in every block, attention, large batches; conditional, and hungry",
        latent=Latent(dim=80),
        networks=ResnetNetworks(
            generator_channels=16,
            discriminator_channels=16,
            attention_edge=16,
            generator_spectral_norm=True,
            latent_split=True,
            initialisation="orthogonal",
        ),
        conditional=True,
        loss="hinge",
        generator_optimiser=Adam(learning_rate=6e-4, beta2=0.999),
        discriminator_optimiser=Adam(learning_rate=6e-4, beta2=0.999),
        penalties=Penalties(orthogonal=1e-4),
        batch_size=64,
        total_kimg=450,
        learning_rate_decay=0.25,
        averaging=Averaging(halflife_kimg=20),
    )


def r3gan() -> Recipe:
    """Return R3GAN (Huang, Gokaslan, Kuleshov and Tompkin 2024).

    The relativistic pairing loss with R1 and R2 on networks without any norm, Adam with beta1 0: what is left
    of a GAN when every trick is taken out. The paper anneals its penalty and second moment over a far longer
    training; here both stand still.
    """
    return Recipe(
        name="r3gan",
        summary="a game of pairs with two penalties and no norms; steady, with classes or without",
        latent=Latent(dim=64),
        networks=R3ganNetworks(),
        conditional=True,
        loss="relativistic",
        generator_optimiser=Adam(learning_rate=2e-4, beta2=0.99),
        discriminator_optimiser=Adam(learning_rate=2e-4, beta2=0.99),
        penalties=Penalties(r1=1.0, r2=1.0),
        batch_size=64,
        total_kimg=450,
        averaging=Averaging(halflife_kimg=20),
    )
