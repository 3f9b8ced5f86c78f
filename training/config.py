"""The settings of a training run: frozen, typed, validated once, printed and saved with the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from training.errors import ConfigError
from training.part_config import (
    Augmentation,
    Averaging,
    Frozen,
    Latent,
    LossName,
    Networks,
    Optimiser,
    Penalties,
    ResnetNetworks,
)

_BATCH_NORM_AND_GRADIENTS = (
    "a penalty on each sample's gradient means nothing where batch norm ties the samples together: set "
    "networks.discriminator_norm to layer or none"
)
_UNBOUNDED_CRITIC = (
    "the wasserstein loss needs a critic that cannot grow without bound: set penalties.weight_clipping, "
    "penalties.gradient_penalty or networks.spectral_norm"
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
    total_kimg: float = Field(gt=0)
    """How many thousand real images the discriminator is shown in all."""
    learning_rate_decay: float = Field(default=0.0, ge=0, le=1)
    """The last share of the run over which both learning rates fall linearly to zero."""
    augmentation: Augmentation = Augmentation()
    averaging: Averaging
    precision: Literal["float32", "bf16"] = "float32"

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        for condition, reason in self._contradictions():
            if condition:
                raise ValueError(reason)
        return self

    def _contradictions(self) -> Iterator[tuple[bool, str]]:
        """Yield what would make no sense, and why."""
        networks, penalties = self.networks, self.penalties
        family = networks.family
        yield (
            self.conditional and family in ("mlp", "dcgan"),
            f"{family} networks make no use of labels: conditional must be false",
        )
        yield (
            not self.conditional and family in ("cgan", "acgan"),
            f"{family} networks are about the label: conditional must be true",
        )
        yield (
            bool(self.label_smoothing) and self.loss not in ("non-saturating", "minimax"),
            f"label_smoothing moves the target of a probability, and the {self.loss} loss has none",
        )
        yield (
            penalties.on_gradients and getattr(networks, "discriminator_norm", "none") == "batch",
            _BATCH_NORM_AND_GRADIENTS,
        )
        yield (
            penalties.on_gradients and self.precision == "bf16",
            "penalties on gradients need float32: bf16 loses the differences that they are made of",
        )
        yield (
            self.loss == "wasserstein" and not self._has_a_bounded_critic,
            _UNBOUNDED_CRITIC,
        )
        yield (
            bool(penalties.weight_clipping) and penalties.on_gradients,
            "weight clipping and penalties on gradients are two ways to the same end: choose one",
        )
        yield (
            bool(self.class_loss) != (family == "acgan"),
            "class_loss is for networks that tell classes, the acgan family, and these need it",
        )
        yield (
            self.total_kimg * 1000 < self.batch_size,
            "total_kimg must be at least one batch",
        )

    @property
    def _has_a_bounded_critic(self) -> bool:
        penalties, networks = self.penalties, self.networks
        has_spectral_norm = isinstance(networks, ResnetNetworks) or getattr(networks, "spectral_norm", False)
        return bool(penalties.weight_clipping or penalties.gradient_penalty or has_spectral_norm)


class Provenance(Frozen):
    """What a run was begun with."""

    source_commit: str | None
    library_versions: dict[str, str]


class FolderOptions(Frozen):
    """How to read data of one's own, whatever form it comes in.

    ``size`` is (height, width) in pixels, or None to choose: the images' own size where they all
    share one of at most 128 pixels, else 64 x 64. ``channels`` is None to choose: 1 where every image
    is grey, else 3; only where 4 is asked for is transparency kept. ``skip_bad`` leaves unreadable
    images out where they would stop the reading. The columns are those of tables (``metadata.csv``,
    parquet, hub): None takes the only one that can be meant.
    """

    size: tuple[int, int] | None = None
    channels: Literal[1, 3, 4] | None = None
    skip_bad: bool = False
    image_column: str | None = None
    label_column: str | None = None


class RunConfig(Frozen):
    """A run: a recipe on a data set, from a seed, with how often it reports and saves."""

    recipe: Recipe
    data: str
    """An embedded set's name or a folder."""
    folder: FolderOptions = FolderOptions()
    dataset_digest: str
    seed: int = Field(default=0, ge=0, le=2**53 - 1)
    provenance: Provenance | None = None
    log_every_kimg: float = Field(default=1.0, gt=0)
    sample_every_kimg: float = Field(default=20.0, gt=0)
    checkpoint_every_kimg: float = Field(default=20.0, gt=0)


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
        got = f" (got {first['input']!r})" if where else ""
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--set {where}: {message}{got}".replace(" : ", " ")) from error
