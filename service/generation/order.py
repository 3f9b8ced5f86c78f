"""An order: a request that its model can serve, every choice made and nothing computed yet.

Shapes: N images (or vectors), D latent dimensions; images are uint8 ``[N, H, W, C]``, vectors float32
``[N, size]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from contract.latents import Truncation
from service.backend import Drawn, Seeded
from service.generation.labels import Label
from service.generation.latent_refs import Latents, Origin
from service.journey import Journey
from service.models.served import ServedModel
from service.requests.bodies import Body
from service.requests.wording import Location, describe, fault_at

_IMAGE_FORMATS = ("png", "jpeg", "webp", "npy")
_VECTOR_FORMATS = ("json", "npy", "png")
_ANIMATION = "gif"


@dataclass(frozen=True)
class Glimpse:
    """What a request asks for at first sight; it may be wrong for all that."""

    model: ServedModel
    count: int
    first_seed: int | None = None


@dataclass(frozen=True)
class Order:
    """What to draw, image by image, and in which form to hand it over."""

    model: ServedModel
    body: Body
    output_format: str
    roles: Sequence[str]
    """What each image is: ``sample``, ``result``, ``neighbour``, ``term`` or ``frame``."""
    origins: Sequence[Origin]
    labels: Sequence[Label] | None
    truncation: Truncation | Sequence[Truncation] | None
    latents: Seeded | Callable[[], Latents]
    """The latents of seeds, drawn where they are run; or what computes the latents, on a thread.

    That raises ``InvalidInput`` for those that do not fit the model.
    """
    by_class: bool = False
    """Whether a grid's rows follow the classes."""
    fps: int | None = None
    """Frames a second, if the images follow one another as an animation does."""
    journey: Journey | None = None
    """Who follows the request, if anybody does."""

    def computed_latents(self) -> Latents | None:
        """Compute the latents; None of seeds, which are drawn where they are run."""
        return None if isinstance(self.latents, Seeded) else self.latents()

    @cached_property
    def count(self) -> int:
        """How many images, or vectors."""
        return len(self.origins)

    @property
    def first_seed(self) -> int | None:
        """The seed of the first image, if it is of one."""
        return self.origins[0].seed

    @property
    def is_grid(self) -> bool:
        """Whether the images are shown as one picture."""
        return self.body.layout == "grid"

    def truncation_of(self, place: int) -> Truncation | None:
        """Return the truncation of one image."""
        if self.truncation is None or isinstance(self.truncation, Truncation):
            return self.truncation
        return self.truncation[place]


@dataclass(frozen=True)
class Drawing:
    """An order carried out."""

    order: Order
    latents: Latents | None
    """None of seeds whose latents the answer does not tell."""
    pixels_or_values: Drawn
    queue_s: float
    inference_s: float
    batch_rows: int


def chosen_format(body: Body, model: ServedModel, *, animated: bool = False) -> str:
    """Return the format of each item; raises ``InvalidInput`` for one that the model has not."""
    allowed = _IMAGE_FORMATS if model.is_image else _VECTOR_FORMATS
    if animated and model.is_image:
        allowed = (*allowed, _ANIMATION)
    chosen = body.output_format or allowed[0]
    kind = "images" if model.is_image else "vectors"
    if chosen not in allowed:
        raise fault_at(
            ("output_format",),
            f"{chosen} cannot be made of {kind}; this model allows {', '.join(allowed)}",
        )
    if body.layout == "grid" and not model.is_image:
        raise fault_at(
            ("layout",), "a model of vectors has no grid; output_format png draws one histogram of all"
        )
    if body.layout == "grid" and chosen == _ANIMATION:
        raise fault_at(("layout",), "a grid is one still picture, and output_format gif is an animation")
    return chosen


def check_count(field: Location, count: int, most: int, model: ServedModel) -> None:
    """Raise ``InvalidInput`` unless a field asks for 1 to ``most`` images."""
    if not 1 <= count <= most:
        what = "images" if model.is_image else "vectors"
        raise fault_at(
            field,
            f"must be a whole number from 1 to {most} ({what} a request), not {describe(count)}",
        )
