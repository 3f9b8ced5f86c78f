"""The settings of a recipe, and what would make no sense of them together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from contract.latents import Prior
from training.errors import ConfigError
from training.part_config import (
    Augmentation,
    Averaging,
    CganNetworks,
    Frozen,
    Latent,
    LossName,
    MlpNetworks,
    Networks,
    Optimiser,
    Penalties,
    R3ganNetworks,
)

_BATCH_NORM_AND_GRADIENTS = (
    "a penalty on each sample's gradient means nothing where batch norm ties the samples together: set "
    "networks.discriminator_norm to layer or none"
)
_SPREAD_AND_GRADIENTS = (
    "a penalty on each sample's gradient means nothing where the minibatch's spread ties the samples "
    "together: set networks.minibatch_stddev to 0, or the penalties"
)
_UNBOUNDED_CRITIC = (
    "the wasserstein loss needs a critic that cannot grow without bound: set penalties.weight_clipping, "
    "penalties.gradient_penalty, or networks.spectral_norm without a discriminator_norm"
)
_CLIPPED_AND_DIVIDED = (
    "spectral norm divides the size of the weights out, so that penalties.weight_clipping would bound "
    "nothing: choose one"
)
_CHANGING_REFERENCE = (
    "networks.virtual_batch_norm is by a batch that stays as it is, which networks.generator_dropout would "
    "change at every step: choose one"
)
_ZERO_BLOCKS = (
    "networks.spectral_norm divides by a singular value, and r3gan's blocks start at zero, which has none"
)
_FIXED_START = (
    "networks.initialisation must be fixup: r3gan's blocks start as the identity, as no norm bounds them"
)


class Recipe(Frozen):
    """Everything that makes a run what it is, save the data, the seed and the device."""

    name: str
    summary: str
    latent: Latent
    networks: Networks
    conditional: bool
    """Use the labels where the data has any."""
    loss: LossName
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """How far below 1 the target of real samples lies; that of drawn ones stays 0 (Salimans et al. 2016)."""
    instance_noise: float = Field(default=0.0, ge=0, le=1)
    """Deviation of the noise on D's inputs at the start; it falls linearly to 0 (Sønderby et al. 2017)."""
    generator_optimiser: Optimiser
    discriminator_optimiser: Optimiser
    penalties: Penalties = Penalties()
    separate_batches: bool = False
    """Show D real and drawn samples apart, so that a batch norm in it sees one kind at a time."""
    class_loss: float = Field(default=0.0, ge=0)
    """Weight of the cross-entropy of D's class head, for both players."""
    discriminator_steps: int = Field(default=1, ge=1, le=100)
    batch_size: int = Field(ge=2, le=8192)
    accumulation: int = Field(default=1, ge=1, le=8192)
    """Play each batch in so many pieces, whose gradients add up: the same step in less memory."""
    total_kimg: float = Field(gt=0)
    """How many thousand real images the discriminator is shown in all."""
    learning_rate_decay: float = Field(default=0.0, ge=0, le=1)
    """The last share of the run over which both learning rates fall linearly to zero."""
    augmentation: Augmentation = Augmentation()
    averaging: Averaging
    precision: Literal["float32", "bf16"] = "float32"

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        for condition, reason in chain(
            self._about_labels(), self._about_losses(), self._about_penalties(), self._about_networks()
        ):
            if condition:
                raise ValueError(reason)
        return self

    def _about_labels(self) -> Iterator[tuple[bool, str]]:
        """Yield what would make no sense of labels and classes, and why."""
        family = self.networks.family
        yield (
            self.conditional and family == "mlp",
            f"{family} networks make no use of labels: conditional must be false",
        )
        yield (
            not self.conditional and family in ("cgan", "acgan"),
            f"{family} networks are about the label: conditional must be true",
        )
        yield (
            bool(self.class_loss) != (family == "acgan"),
            "class_loss is for networks that tell classes, the acgan family, and these need it",
        )

    def _about_losses(self) -> Iterator[tuple[bool, str]]:
        """Yield what would make no sense of the game and its length, and why."""
        yield (
            bool(self.label_smoothing) and self.loss not in ("non-saturating", "minimax"),
            f"label_smoothing moves the target of a probability, and the {self.loss} loss has none",
        )
        yield self.loss == "wasserstein" and not self._has_a_bounded_critic, _UNBOUNDED_CRITIC
        yield (
            self.batch_size % self.accumulation > 0,
            f"accumulation: a batch of {self.batch_size} has no {self.accumulation} equal pieces",
        )
        yield (
            self.total_kimg * 1000 < self.batch_size,
            "total_kimg must be at least one batch",
        )
        yield (
            self.latent.prior is Prior.SPHERE and self.latent.dim < 2,
            "latent.prior: a sphere in one dimension is two points: set latent.dim to 2 or more",
        )

    def _about_penalties(self) -> Iterator[tuple[bool, str]]:
        """Yield what would make no sense of penalties and clipping, and why."""
        networks, penalties = self.networks, self.penalties
        yield (
            penalties.on_gradients and self._discriminator_norm == "batch",
            _BATCH_NORM_AND_GRADIENTS,
        )
        yield penalties.on_gradients and bool(networks.minibatch_stddev), _SPREAD_AND_GRADIENTS
        yield (
            bool(penalties.weight_clipping) and penalties.on_gradients,
            "weight clipping and penalties on gradients are two ways to the same end: choose one",
        )
        yield bool(penalties.weight_clipping) and networks.spectral_norm, _CLIPPED_AND_DIVIDED

    def _about_networks(self) -> Iterator[tuple[bool, str]]:
        """Yield what these networks have no place for, and why."""
        networks, family = self.networks, self.networks.family
        group = networks.minibatch_stddev
        yield group == 1, "networks.minibatch_stddev: a group of one row has no spread; 2 or more, or 0"
        yield (
            bool(group) and self.batch_size % group > 0,
            f"networks.minibatch_stddev: batch_size must be a multiple of {group}: a group holds one kind",
        )
        yield (
            bool(networks.virtual_batch_norm) and not self._generator_has_batch_norm,
            f"this {family} generator has no batch norm that networks.virtual_batch_norm could stand in for",
        )
        yield (
            networks.virtual_batch_norm == 1,
            "networks.virtual_batch_norm: a reference batch of one row has no spread; 2 or more, or 0",
        )
        yield (
            bool(networks.virtual_batch_norm and getattr(networks, "generator_dropout", 0)),
            _CHANGING_REFERENCE,
        )
        yield family == "r3gan" and networks.spectral_norm, _ZERO_BLOCKS
        yield family == "r3gan" and networks.initialisation != "fixup", _FIXED_START

    @property
    def total_images(self) -> int:
        """How many real images D is shown in all."""
        return round(self.total_kimg * 1000)

    def progress(self, images_seen: int) -> float:
        """Return which share of the run is over."""
        return min(1.0, images_seen / self.total_images)

    def learning_rate_share(self, images_seen: int) -> float:
        """Return the learning rates' present share of what is set: 1, and falling to 0 at the end."""
        left = 1.0 - images_seen / self.total_images
        return min(1.0, left / self.learning_rate_decay) if self.learning_rate_decay else 1.0

    @property
    def _discriminator_norm(self) -> str:
        return getattr(self.networks, "discriminator_norm", "none")

    @property
    def _generator_has_batch_norm(self) -> bool:
        if isinstance(self.networks, CganNetworks):
            return self.networks.generator_norm == "batch"
        return not isinstance(self.networks, MlpNetworks | R3ganNetworks)

    @property
    def _has_a_bounded_critic(self) -> bool:
        penalties = self.penalties
        bounded_by_norm = self.networks.spectral_norm and self._discriminator_norm == "none"
        return bool(penalties.weight_clipping or penalties.gradient_penalty or bounded_by_norm)


def _parse_value(text: str) -> Any:  # noqa: ANN401 - a setting is any JSON value
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def override(recipe: Recipe, settings: list[str]) -> Recipe:
    """Return the recipe with ``key=value`` settings replaced, such as ``latent.dim=32``.

    Raises ``ConfigError`` naming the key and what is allowed.
    """
    document = recipe.model_dump(mode="json")
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r} is not of the form key=value")
        *parents, leaf = key.split(".")
        node: Any = document
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or leaf not in node:
            settings_here = sorted(node) if isinstance(node, dict) else []
            near = get_close_matches(leaf, settings_here, n=1)
            meant = f"did you mean {'.'.join([*parents, near[0]])}? " if near else ""
            raise ConfigError(
                f"--set {key}: the recipe {recipe.name!r} has no such setting; {meant}there are "
                f"{', '.join(settings_here) or 'nothing below it'}"
            )
        node[leaf] = _parse_value(value)
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if not where:
            raise ConfigError(f"the recipe {recipe.name} refuses these settings: {message}") from error
        raise ConfigError(f"--set {where}: {message} (got {first['input']!r})") from error
