"""What a service draws, as a client has it: images, vectors, and walks through them.

Shapes: N images or vectors, H, W, C an image's height, width and channels (1 grey, 3 colour).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from forger.errors import Misuse

RECIPE_CHUNK = "forger"
"""The text chunk of a PNG that holds its recipe."""
RNG = "philox4x32-10/icdf-v1"
"""How the service draws a latent from a seed and an index."""


@dataclass(frozen=True)
class Label:
    """An image's class, or the mixture that it is of: then ``index`` and ``name`` are None."""

    index: int | None
    name: str | None
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Origin:
    """The model that drew something."""

    model: str
    version: int
    digest: str


@dataclass(frozen=True, eq=False)
class Item:
    """One image or vector: ``array`` is uint8 ``[H, W, C]``, or float32 ``[size]``."""

    array: NDArray[Any]
    origin: Origin
    role: str = "sample"
    seed: int | None = None
    index: int | None = None
    label: Label | None = None
    latent: NDArray[np.float32] | None = None
    """The canonical latent, float32 ``[d]``, if it was asked for."""
    truncation: Mapping[str, Any] | None = None

    @property
    def image(self) -> Pillow.Image:
        """The image for Pillow; raises ``Misuse`` for a vector."""
        return picture(self.array)

    @property
    def recipe(self) -> dict[str, Any]:
        """How to draw it again, in the words of the ``forger`` chunk of a PNG that the service made.

        ``class_weights`` are by name, and None without classes. What has no seed is known by its latent, if
        ``return_latents`` was asked for.
        """
        weights = None
        if self.label is not None:
            weights = dict(self.label.weights) if self.label.weights is not None else {self.label.name: 1.0}
        which: dict[str, Any] = {"seed": self.seed, "index": self.index}
        if self.seed is None and self.latent is not None:
            which = {"latent_b64": base64.b64encode(self.latent.astype("<f4").tobytes()).decode("ascii")}
        return {
            "model": self.origin.model,
            "version": self.origin.version,
            "model_digest": self.origin.digest,
            "rng": RNG,
            **which,
            "class_weights": weights,
            "truncation": None if self.truncation is None else dict(self.truncation),
        }

    def save(self, path: str | Path) -> None:
        """Write the image to a file, in the form that its name asks for; a PNG carries its recipe.

        Raises ``ValueError`` for a name whose form is not known.
        """
        if Path(path).suffix.lower() == ".png" and not (self.seed is None and self.latent is None):
            told = PngInfo()
            told.add_text(RECIPE_CHUNK, json.dumps(self.recipe))
            self.image.save(path, pnginfo=told)
        else:
            self.image.save(path)


class Drawn(Sequence[Item]):
    """What one request drew, in order; ``array`` has all of it."""

    def __init__(self, items: Sequence[Item], request_id: str | None) -> None:
        self._items = list(items)
        self.request_id = request_id
        """The request's name in the service's log; of several requests, the last one's."""

    @property
    def array(self) -> NDArray[Any]:
        """All images, uint8 ``[N, H, W, C]``, or all vectors, float32 ``[N, size]``."""
        return np.stack([item.array for item in self._items])

    @property
    def origin(self) -> Origin:
        """The model that drew them; raises ``IndexError`` for a slice that holds nothing."""
        return self._items[0].origin

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each, int64 ``[N]``; -1 where it has none, or is a mixture."""
        return np.array(
            [
                -1 if item.label is None or item.label.index is None else item.label.index
                for item in self._items
            ],
            np.int64,
        )

    def with_role(self, role: str) -> list[Item]:
        """Return the items of a role: ``sample``, ``result``, ``neighbour``, ``term`` or ``frame``."""
        return [item for item in self._items if item.role == role]

    def grid(self, columns: int | None = None) -> Pillow.Image:
        """Return all images on one, ``columns`` beside one another: as many as make it square, or so."""
        images = self.array
        if columns is None:
            columns = int(np.ceil(np.sqrt(len(images))))
        if columns < 1:
            raise Misuse(f"columns must be at least 1, not {columns}")
        if images.ndim != 4:
            raise Misuse("vectors make no grid: file('/generate', body, 'image/png') draws their histogram")
        _, height, width, channels = images.shape
        rows = -(-len(images) // columns)
        sheet = np.zeros((rows * height, columns * width, channels), np.uint8)
        for place, image in enumerate(images):
            top, left = place // columns * height, place % columns * width
            sheet[top : top + height, left : left + width] = image
        return picture(sheet)

    def save_animation(self, path: str | Path, *, fps: float = 12.0, loop: bool = True) -> None:
        """Write the images as frames of an animated WebP, GIF or PNG, as the file's name says."""
        if not 0 < fps <= 1000:
            raise Misuse(f"fps must be more than 0 and at most 1000, not {fps}")
        frames = [item.image for item in self._items]
        if Path(path).suffix.lower() not in (".webp", ".gif", ".png"):
            raise Misuse(f"an animation is a .webp, .gif or .png file, not {str(path)!r}")
        options: dict[str, Any] = {"lossless": True} if Path(path).suffix.lower() == ".webp" else {}
        if loop:
            options["loop"] = 0
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(1000 / fps), **options)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Drawn: ...
    def __getitem__(self, place: int | slice) -> Item | Drawn:
        if isinstance(place, slice):
            return Drawn(self._items[place], self.request_id)
        return self._items[place]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __repr__(self) -> str:
        of = f" of {self.origin.model}:{self.origin.version}" if self._items else ""
        return f"{type(self).__name__}({len(self)}{of})"


class Walk(Drawn):
    """The frames of a path through latents, in order."""

    def __init__(self, items: Sequence[Item], request_id: str | None, *, loop: bool) -> None:
        super().__init__(items, request_id)
        self.loop = loop

    def save(self, path: str | Path, *, fps: float = 12.0) -> None:
        """Write the frames as an animated WebP, GIF or PNG, which repeats if the walk is a loop."""
        self.save_animation(path, fps=fps, loop=self.loop)


def picture(array: NDArray[Any]) -> Pillow.Image:
    """Return an image, uint8 ``[H, W, C]``, for Pillow."""
    if array.ndim != 3:
        raise Misuse("this model draws vectors, not images")
    return Pillow.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
