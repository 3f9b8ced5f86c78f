"""The settings of a recipe's parts: networks, latent, optimisers, penalties, augmentation, averaging."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from contract.latents import Prior

Channels = Annotated[int, Field(ge=1, le=4096)]
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
Initialisation = Literal["uniform", "glorot", "he", "normal", "orthogonal"]
"""U(±1/√fan-in), which is torch's own; Glorot's and He's rules; N(0, 0.02²); orthogonal rows."""
LossName = Literal["hinge", "non-saturating", "minimax", "wasserstein", "least-squares", "relativistic"]


class Frozen(BaseModel):
    """Settings: no unknown key, nothing changed later, no number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkSettings(Frozen):
    """The switches that every family has; where one makes no sense, a recipe that asks for it is refused."""

    discriminator_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of D's features that are left out while training (Srivastava et al. 2014)."""
    minibatch_stddev: int = Field(default=0, ge=0, le=1024)
    """Tell D how much its features differ within groups of so many rows (Karras et al. 2018); 0: do not."""
    spectral_norm: bool = False
    """Divide each of D's weights by its largest singular value (Miyato et al. 2018)."""
    virtual_batch_norm: int = Field(default=0, ge=0, le=1024)
    """Normalise G by a fixed batch of so many rows (Salimans et al. 2016); 0: by the batch itself."""


class MlpNetworks(NetworkSettings):
    """Fully connected generator and discriminator; the label, if any, is not used."""

    family: Literal["mlp"] = "mlp"
    generator_hidden: tuple[Channels, ...]
    discriminator_hidden: tuple[Channels, ...]
    generator_activation: Activation
    discriminator_activation: Activation
    generator_output: Literal["tanh", "sigmoid"] = "tanh"
    """How images end; a sigmoid's levels from 0 to 1 are stretched to [-1, 1], in which all images live."""
    initialisation: Initialisation = "uniform"


class CganNetworks(NetworkSettings):
    """The label joins the noise in G and the image in D, each through a layer of its own.

    Each side is mapped to hidden units before they meet: ``*_samples`` of noise or image, ``*_labels`` of the
    class, ``*_joined`` of both. D's are maxout units. The paper has dropout in G and no norm.
    """

    family: Literal["cgan"] = "cgan"
    generator_noise: Channels = 1000
    generator_labels: Channels = 200
    generator_joined: Channels = 1200
    discriminator_samples: Channels = 240
    discriminator_labels: Channels = 50
    discriminator_joined: Channels = 240
    discriminator_dropout: float = Field(default=0.5, ge=0.0, lt=1.0)
    generator_norm: Literal["batch", "none"] = "batch"
    generator_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of G's units that are left out while training; when drawing, none are."""
    initialisation: Initialisation = "uniform"


class StridedNetworks(NetworkSettings):
    """Transposed convolutions in G, strided ones in D, and no pooling.

    Channel counts are those at the finest resolution; each halving doubles them, up to eightfold.
    """

    generator_channels: Channels = 32
    discriminator_channels: Channels = 32
    discriminator_norm: Literal["batch", "layer", "none"] = "batch"
    """Batch norm ties the rows of a batch together: a penalty on each row's gradient forbids it."""
    initialisation: Initialisation = "normal"


class DcganNetworks(StridedNetworks):
    """The networks of Radford et al. 2015; a label, if any, steers G's norms and joins D's score."""

    family: Literal["dcgan"] = "dcgan"
    embedding_dim: int = Field(default=64, ge=1, le=1024)


class AcganNetworks(StridedNetworks):
    """DCGAN's networks with a label: it multiplies the noise in G, and D tells it beside real from drawn."""

    family: Literal["acgan"] = "acgan"
    discriminator_dropout: float = Field(default=0.5, ge=0.0, lt=1.0)
    fake_class: bool = False
    """Give D's class head a class of its own for what is drawn."""


class ResnetNetworks(NetworkSettings):
    """Residual networks: conditional batch norm in G; spectral norm and projection in D.

    Channel counts are those at the finest resolution; each halving doubles them, up to eightfold.
    """

    family: Literal["resnet"] = "resnet"
    generator_channels: Channels = 32
    discriminator_channels: Channels = 32
    embedding_dim: int = Field(default=64, ge=1, le=1024)
    attention_edge: int | None = Field(default=None, ge=2, le=256)
    """Self-attention where the shorter edge is at most this long for the first time on the way down."""
    spectral_norm: bool = True
    generator_spectral_norm: bool = False
    latent_split: bool = False
    """Give each block of G a part of the latent of its own, beside the class (Brock et al. 2018)."""
    initialisation: Initialisation = "glorot"


class R3ganNetworks(NetworkSettings):
    """Residual networks of grouped bottlenecks without any norm (Huang et al. 2024).

    Channel counts are those at the finest resolution; each halving doubles them, up to eightfold.
    """

    family: Literal["r3gan"] = "r3gan"
    generator_channels: Channels = 32
    discriminator_channels: Channels = 32
    embedding_dim: int = Field(default=64, ge=1, le=1024)
    group_channels: Channels = 16
    """Channels of each group of the 3 x 3 convolutions."""
    expansion: int = Field(default=2, ge=1, le=8)
    """How much wider a block is inside."""
    blocks: int = Field(default=1, ge=1, le=8)
    """Residual blocks at each resolution."""
    initialisation: Initialisation | Literal["fixup"] = "fixup"
    """Every block starts as the identity (Zhang et al. 2019)."""


Networks = Annotated[
    MlpNetworks | CganNetworks | DcganNetworks | AcganNetworks | ResnetNetworks | R3ganNetworks,
    Field(discriminator="family"),
]


class Latent(Frozen):
    """The generator's noise."""

    dim: int = Field(ge=1, le=4096)
    prior: Prior = Prior.NORMAL


class Adam(Frozen):
    """The Adam optimiser (Kingma and Ba 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(gt=0, le=1)
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.9, ge=0, lt=1)


class RmsProp(Frozen):
    """RMSprop (Tieleman and Hinton 2012), which has no momentum: for critics whose loss drifts."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: float = Field(gt=0, le=1)
    smoothing: float = Field(default=0.99, ge=0, lt=1)


def _optimiser_kind(value: Any) -> str:  # noqa: ANN401 - a JSON value or a model
    kind = value.get("kind", "adam") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind)


Optimiser = Annotated[
    Annotated[Adam, Tag("adam")] | Annotated[RmsProp, Tag("rmsprop")],
    Discriminator(_optimiser_kind),
]


class Penalties(Frozen):
    """What keeps the players in bounds, beside their losses; each is off at 0 or None."""

    gradient_penalty: float = Field(default=0.0, ge=0)
    """Weight of (‖∇D‖ - 1)² between real and drawn samples (Gulrajani et al. 2017)."""
    r1: float = Field(default=0.0, ge=0)
    """Weight γ of γ/2 ‖∇D‖² at real samples (Mescheder et al. 2018)."""
    r2: float = Field(default=0.0, ge=0)
    """The same at drawn samples."""
    weight_clipping: float | None = Field(default=None, gt=0)
    """Largest size of D's weights, cut to it after each step (Arjovsky et al. 2017)."""
    orthogonal: float = Field(default=0.0, ge=0)
    """Weight of the inner products between different rows of G's weights (Brock et al. 2018, equation 3)."""

    @property
    def on_gradients(self) -> bool:
        """Whether D's gradients at its input are asked for."""
        return bool(self.gradient_penalty or self.r1 or self.r2)


class Augmentation(Frozen):
    """Differentiable augmentation of real and drawn images alike (Zhao et al. 2020)."""

    translation: float = Field(default=0.0, ge=0, le=0.5)
    """Largest shift, as a share of the image's edge."""
    cutout: float = Field(default=0.0, ge=0, le=0.75)
    """Edge of the square that is blanked, as a share of the image's edge."""
    colour: float = Field(default=0.0, ge=0, le=1)
    """Strength of random brightness, saturation and contrast; 1 is the paper's."""
    flip: bool = False
    """Mirror every other image left to right: never for digits or text, which it makes into other signs."""


class Averaging(Frozen):
    """The moving average of the generator's weights (EMA), which is what is sampled and exported."""

    halflife_kimg: float = Field(gt=0)
    ramp: float = Field(default=0.05, gt=0)
    """The half-life is at most this share of the images seen so far, so that early draws mean something."""
