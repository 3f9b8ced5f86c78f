"""A drawing's items: what stands in ``data``, each with its facts and the bytes of its file.

Images are uint8 ``[N, H, W, C]``, vectors float32 ``[N, size]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pybase64 import b64encode_as_string

from service.backend import Drawn
from service.encoding import (
    CONTENT_TYPES,
    Pixels,
    class_cells,
    draw_grid,
    draw_histogram,
    encode_animation,
    encode_image,
    encode_npy,
    square_cells,
)
from service.generation.latent_refs import Latents
from service.generation.order import Order
from service.packaging.facts import Facts


@dataclass(frozen=True)
class Item:
    """One entry of ``data``: its facts, and its file if it has one (a vector has ``values`` instead)."""

    facts: dict[str, Any]
    content: bytes | None = None

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON, with the file's bytes as base64."""
        if self.content is None:
            return self.facts
        return self.facts | {"b64_json": b64encode_as_string(self.content)}


class Sheet:
    """One order in every form that its images, or vectors, can take."""

    def __init__(self, order: Order, latents: Latents | None) -> None:
        self._order = order
        self._model = order.model
        self.facts = Facts(order, latents)

    @property
    def is_itemised(self) -> bool:
        """Whether each image, or vector, is an item of its own, made without a look at the others."""
        order = self._order
        shared = order.is_grid or order.output_format == "gif"
        return not shared and (self._model.is_image or order.output_format != "png")

    def items(self, drawn: Drawn, first: int = 0) -> list[Item]:
        """Return the items of all that was drawn.

        If the sheet is itemised, ``drawn`` may be a part of it, whose first row has the number ``first``.
        """
        if self.is_itemised:
            return [self._item(first + row, one) for row, one in enumerate(drawn)]
        if self._order.is_grid:
            role, listed = "grid", self._placed()
        else:
            role = "animation" if self._model.is_image else "histogram"
            listed = [self.facts.of(place) for place in range(self._order.count)]
        file_format = self._order.output_format
        content = self.single(drawn, file_format)
        nothing = {"seed": None, "index": None, "class_label": None, "latent_b64": None}
        facts = {"role": role, "content_type": CONTENT_TYPES[file_format], **nothing, "items": listed}
        return [Item(facts, content)]

    def _item(self, place: int, one: Drawn) -> Item:
        file_format = self._order.output_format
        facts = self.facts.of(place) | {"content_type": CONTENT_TYPES[file_format]}
        if file_format == "json":
            return Item(facts | {"values": one})
        return Item(facts, self._encoded(one, file_format, lambda: self.facts.recipe(place)))

    def single(self, drawn: Drawn, file_format: str) -> bytes:
        """Return the one file that shows it all: the only image, the grid, the animation, the histogram."""
        order = self._order
        if not self._model.is_image:
            picture = draw_histogram(drawn.astype(np.float32, copy=False))
            return self._encoded(picture, file_format, lambda: self.facts.recipe_of_all("histogram"))
        images: Pixels = drawn.astype(np.uint8, copy=False)
        if order.is_grid:
            return self._encoded(self._grid(images), file_format, lambda: self.facts.recipe_of_all("grid"))
        if order.count == 1:
            return self._encoded(images[0], file_format, lambda: self.facts.recipe(0))
        assert order.fps is not None, "several images are one file as a grid or an animation only"
        return encode_animation(images, file_format, order.body.quality, order.fps)

    def array_file(self, drawn: Drawn) -> bytes:
        """Return all images, or the grid, as uint8 ``[N, H, W, C]``; vectors as float32 ``[N, size]``."""
        if self._model.is_image and self._order.is_grid:
            return encode_npy(self._grid(drawn.astype(np.uint8, copy=False))[np.newaxis])
        return encode_npy(drawn)

    def _encoded(self, one: Drawn, file_format: str, recipe: Callable[[], dict[str, Any]]) -> bytes:
        """Return one image, or with ``npy`` one vector, as a file; only a PNG asks for its recipe."""
        if file_format == "npy":
            return encode_npy(one)
        image: Pixels = one.astype(np.uint8, copy=False)
        notes = recipe() if file_format == "png" else {}
        return encode_image(image, file_format, self._order.body.quality, notes)

    def _grid(self, images: Pixels) -> Pixels:
        return draw_grid(images, self._cells())

    def _placed(self) -> list[dict[str, Any]]:
        return [
            {**self.facts.of(place), "row": row, "column": column}
            for place, (row, column) in enumerate(self._cells())
        ]

    def _cells(self) -> list[tuple[int, int]]:
        labels = self._order.labels
        if labels is not None and self._order.by_class:
            return class_cells([label.index or 0 for label in labels])
        return square_cells(self._order.count)
