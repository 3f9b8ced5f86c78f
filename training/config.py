"""The settings of a training run: frozen, typed, validated once, printed and saved with the run."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.latents import Prior
from training.errors import ConfigError

Channels = Annotated[int, Field(ge=1, le=4096)]
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MlpNetworks(_Frozen):
    """Fully connected generator and discriminator; the label, if any, is not used."""

    family: Literal["mlp"] = "mlp"
    generator_hidden: tuple[Channels, ...]
    discriminator_hidden: tuple[Channels, ...]
    generator_activation: Activation
    discriminator_activation: Activation
    discriminator_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class ResnetNetworks(_Frozen):
    """Residual networks: conditional batch norm in G; spectral norm and projection in D.

    Channel counts are those at the finest resolution; each halving doubles them, up to eightfold.
    """

    family: Literal["resnet"] = "resnet"
    generator_channels: Channels = 32
    discriminator_channels: Channels = 32
    embedding_dim: int = Field(default=64, ge=1, le=1024)


Networks = Annotated[MlpNetworks | ResnetNetworks, Field(discriminator="family")]


class Latent(_Frozen):
    """The generator's noise."""

    dim: int = Field(ge=1, le=4096)
    prior: Prior = Prior.NORMAL


class Adam(_Frozen):
    """The Adam optimiser (Kingma and Ba 2015)."""

    learning_rate: float = Field(gt=0, le=1)
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.9, ge=0, lt=1)


class Augmentation(_Frozen):
    """Differentiable augmentation of real and drawn images alike (Zhao et al. 2020)."""

    translation: float = Field(default=0.0, ge=0, le=0.5)
    """Largest shift, as a share of the image's edge."""
    cutout: float = Field(default=0.0, ge=0, le=0.75)
    """Edge of the square that is blanked, as a share of the image's edge."""


class Averaging(_Frozen):
    """The moving average of the generator's weights (EMA), which is what is sampled and exported."""

    halflife_kimg: float = Field(gt=0)
    ramp: float = Field(default=0.05, gt=0)
    """The half-life is at most this share of the images seen so far, so that early draws mean something."""


class Recipe(_Frozen):
    """Everything that makes a run what it is, save the data, the seed and the device."""

    name: str
    summary: str
    latent: Latent
    networks: Networks
    conditional: bool
    """Use the labels where the data has any."""
    loss: Literal["hinge", "non-saturating"]
    generator_optimiser: Adam
    discriminator_optimiser: Adam
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
        if self.conditional and isinstance(self.networks, MlpNetworks):
            raise ValueError("mlp networks make no use of labels: conditional must be false")
        if self.total_kimg * 1000 < self.batch_size:
            raise ValueError("total_kimg must be at least one batch")
        return self


class Provenance(_Frozen):
    """What a run was begun with."""

    source_commit: str | None
    library_versions: dict[str, str]


class FolderOptions(_Frozen):
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


class RunConfig(_Frozen):
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
            known = ", ".join(sorted(node)) if isinstance(node, dict) else "nothing below it"
            raise ConfigError(
                f"--set {key}: the recipe {recipe.name!r} has no such setting; there are {known}"
            )
        node[leaf] = _parse_value(value)
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        got = f" (got {first['input']!r})" if where else ""
        raise ConfigError(f"--set {where}: {first['msg']}{got}".replace(" : ", " ")) from error
