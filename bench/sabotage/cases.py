"""What is done to a run, and which diagnoses it must bring: written down before any run is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training.data import Dataset
from training.doctor import Failure
from training.recipes import recipe_named
from training.trainer import Trainer

Edit = Callable[[Dataset, np.random.Generator], Dataset]
Hook = Callable[[Trainer], None]

IMAGES_KEPT = 50
_SMALL = ("networks.generator_channels=16", "networks.discriminator_channels=16", "batch_size=16")
"""For the networks that are large and slow: narrow ones, and as many turns as they need to begin."""


@dataclass(frozen=True)
class Base:
    """A recipe at a size and a length at which it learns the small set in half a minute of one core."""

    recipe: str
    kimg: float
    settings: tuple[str, ...] = ()
    data: str = "digits"


@dataclass(frozen=True)
class Case:
    """One way to sabotage a run, or none; ``expected`` is empty for healthy runs."""

    name: str
    base: Base
    expected: frozenset[Failure] = frozenset()
    settings: tuple[str, ...] = ()
    edit: Edit | None = None
    hook: Hook | None = None
    listed: bool = True
    """Whether it counts for the shares of the table; the others are looked at only."""

    @property
    def key(self) -> str:
        """The case's name and its recipe's."""
        return f"{self.name}-{self.base.recipe}"


DEFAULT = Base("default", 24)
DCGAN = Base("dcgan", 50)
LONG_DCGAN = Base("dcgan", 60)
ACGAN = Base("acgan", 40)
LONG_ACGAN = Base("acgan", 50)

HEALTHY = (
    DEFAULT,
    Base("gaussian-1d", 400, data="gaussian"),
    Base("vanilla-shallow", 300),
    Base(
        "vanilla",
        60,
        (
            "networks.generator_hidden=[128,256,512]",
            "networks.discriminator_hidden=[512,256,128]",
            "batch_size=25",
        ),
    ),
    DCGAN,
    Base("wgan", 60),
    Base("wgan-gp", 40, ("batch_size=16",)),
    ACGAN,
    Base("sagan", 8, _SMALL),
    Base("r3gan", 6, _SMALL),
    Base("cgan", 40),
    Base("biggan", 8, _SMALL),
)


def shuffle_labels(dataset: Dataset, random: np.random.Generator) -> Dataset:
    """Give every sample the label of another one."""
    assert dataset.labels is not None, "there are labels to shuffle"
    return replace(dataset, labels=random.permutation(dataset.labels))


def keep_few(dataset: Dataset, random: np.random.Generator) -> Dataset:
    """Leave fifty training images, as many of each class; the held-out ones stay."""
    assert dataset.labels is not None, "there are classes"
    train = np.flatnonzero(~dataset.held_out)
    share = IMAGES_KEPT // (dataset.classes or 1)
    kept = [
        random.choice(train[dataset.labels[train] == label], share, replace=False)
        for label in np.unique(dataset.labels)
    ]
    rows = np.sort(np.concatenate([*kept, np.flatnonzero(dataset.held_out)]))
    return replace(
        dataset, samples=dataset.samples[rows], labels=dataset.labels[rows], held_out=dataset.held_out[rows]
    )


def blacken(dataset: Dataset, _random: np.random.Generator) -> Dataset:
    """Make every image black."""
    return replace(dataset, samples=np.zeros_like(dataset.samples))


def freeze(player: str, share: float) -> Hook:
    """Let a player's optimiser do nothing from that share of the run on."""

    def hook(trainer: Trainer) -> None:
        if trainer.state.images_seen >= share * trainer.recipe.total_images:
            optimiser = getattr(trainer.state, f"{player}_optimiser")
            optimiser.step = lambda *_: None

    return hook


def _rate(base: Base, player: str, factor: float) -> str:
    optimiser = getattr(recipe_named(base.recipe), f"{player}_optimiser")
    return f"{player}_optimiser.learning_rate={factor * optimiser.learning_rate:g}"


_TOO_STRONG = frozenset({Failure.DISCRIMINATOR_TOO_STRONG})
# The latent is the class's only source of variety where there are classes, and of all variety where not.
_COLLAPSED = {
    "default": frozenset({Failure.CLASS_COLLAPSE, Failure.MODE_COLLAPSE}),
    "dcgan": frozenset({Failure.MODE_COLLAPSE}),
}
# Steps too long to settle end in circles, in numbers that are none, or far from the data: the same remedy.
_TOO_FAST = frozenset({Failure.CONVERGENCE_FAILURE, Failure.OSCILLATION, Failure.NON_FINITE})

SABOTAGES = (
    *(
        Case("d-rate-x50", base, _TOO_STRONG, (_rate(base, "discriminator", 50),))
        for base in (DEFAULT, DCGAN)
    ),
    *(Case("latent-of-1", base, _COLLAPSED[base.recipe], ("latent.dim=1",)) for base in (DEFAULT, DCGAN)),
    *(
        Case("labels-shuffled", base, frozenset({Failure.LABELS_SAY_NOTHING}), edit=shuffle_labels)
        for base in (DEFAULT, ACGAN)
    ),
    *(
        Case("50-images", base, frozenset({Failure.DISCRIMINATOR_OVERFITS}), edit=keep_few)
        for base in (LONG_DCGAN, LONG_ACGAN)
    ),
    *(
        Case(
            "rates-x100", base, _TOO_FAST, (_rate(base, "generator", 100), _rate(base, "discriminator", 100))
        )
        for base in (DEFAULT, DCGAN)
    ),
    *(
        Case("generator-frozen", base, frozenset({Failure.GENERATOR_STILL}), hook=freeze("generator", 0.5))
        for base in (DEFAULT, DCGAN)
    ),
)
"""The kinds that were asked for, each on two recipes, five seeds each."""

_UNLISTED = (
    *(
        Case(
            "generator-rate-0", base, frozenset({Failure.GENERATOR_STILL}), (_rate(base, "generator", 1e-6),)
        )
        for base in (DEFAULT, DCGAN)
    ),
    *(
        Case(
            "discriminator-frozen",
            base,
            frozenset({Failure.DISCRIMINATOR_STILL}),
            hook=freeze("discriminator", 0.0),
        )
        for base in (DEFAULT, DCGAN)
    ),
    Case("black-images", DCGAN, frozenset({Failure.NO_VARIETY}), edit=blacken),
    Case("noise-huge", DCGAN, settings=("instance_noise=1",)),
    Case("batch-of-2", replace(DCGAN, kimg=6), settings=("batch_size=2",)),
    Case("gaussian-d-rate-x50", HEALTHY[1], _TOO_STRONG, (_rate(HEALTHY[1], "discriminator", 50),)),
)
UNLISTED = tuple(replace(case, listed=False) for case in _UNLISTED)
"""Kinds that nobody asked for, to see that what the doctor says makes sense."""
