"""A drawing as an answer: the JSON document, one image, or an array, with the facts that go with it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import NDArray

from contract.latents import RNG
from service.encoding import (
    CONTENT_TYPES,
    class_cells,
    draw_grid,
    draw_histogram,
    encode_image,
    encode_npy,
    square_cells,
)
from service.generation import Drawing
from service.labels import Label

_MOST_RECIPES = 256
"""The recipe of a picture of more images than this holds their number, not how to draw each of them again."""


@dataclass(frozen=True)
class Package:
    """The bytes of an answer, its media type, and the headers that state its facts."""

    body: bytes
    media_type: str
    headers: dict[str, str]
    encode_s: float


def package(drawing: Drawing, media_type: str) -> Package:
    """Return the answer in the media type that was negotiated."""
    begun = time.perf_counter()
    sheet = _Sheet(drawing)
    if media_type == CONTENT_TYPES["json"]:
        document = sheet.document()
        encode_s = time.perf_counter() - begun
        document["timings"] = _timings(drawing, encode_s)
        body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        return Package(body, media_type, {}, encode_s)
    file_format = next(name for name, content_type in CONTENT_TYPES.items() if content_type == media_type)
    body = sheet.array_file() if file_format == "npy" else sheet.single(file_format)
    return Package(body, media_type, sheet.headers(), time.perf_counter() - begun)


def _timings(drawing: Drawing, encode_s: float) -> dict[str, float | int]:
    return {
        "queue_ms": round(drawing.queue_s * 1000, 3),
        "inference_ms": round(drawing.inference_s * 1000, 3),
        "encode_ms": round(encode_s * 1000, 3),
        "batch_rows": drawing.batch_rows,
    }


class _Sheet:
    """One drawing in every form it can take."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._order = drawing.order
        self._request = drawing.order.request
        self._model = drawing.order.model
        self._drawn = drawing.pixels_or_values

    def document(self) -> dict[str, Any]:
        """Return the JSON answer, without its timings."""
        if not self._model.is_image:
            data = self._vector_data()
        elif self._request.layout == "grid":
            data = [self._grid_item()]
        else:
            data = [self._image_item(place) for place in range(self._order.count)]
        return {
            "id": f"gen_{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self._model.name,
            "version": self._model.version,
            "model_digest": self._model.digest,
            "rng": RNG,
            "data": data,
        }

    def single(self, file_format: str) -> bytes:
        """Return the one picture of the drawing: its only image, its grid, or its histogram."""
        return self._encoded(self._single_picture(), file_format, self._single_recipe())

    def array_file(self) -> bytes:
        """Return all images, or the grid, as uint8 ``[N, H, W, C]``; vectors as float32 ``[N, size]``."""
        if self._model.is_image and self._request.layout == "grid":
            return encode_npy(self._single_picture()[np.newaxis])
        return encode_npy(self._drawn)

    def headers(self) -> dict[str, str]:
        """Return the facts of a body that cannot carry them."""
        origin = self._order.origins[0]
        headers = {
            "X-Model": self._model.name,
            "X-Model-Version": str(self._model.version),
            "X-Model-Digest": self._model.digest,
        }
        if origin.seed is not None and all(one.seed == origin.seed for one in self._order.origins):
            headers |= {"X-Seed": str(origin.seed), "X-Index": str(origin.index)}
        labels = self._order.labels
        if labels and all(label == labels[0] for label in labels):
            fact = self._label_fact(labels[0])
            text = fact["name"] if fact["weights"] is None else json.dumps(fact["weights"])
            headers["X-Class-Label"] = quote(text, safe="")
        return headers

    def _facts(self, place: int) -> dict[str, Any]:
        origin = self._order.origins[place]
        label = None if self._order.labels is None else self._label_fact(self._order.labels[place])
        latent = self._latent_b64(place) if self._request.return_latents else None
        return {"seed": origin.seed, "index": origin.index, "class_label": label, "latent_b64": latent}

    def _label_fact(self, label: Label) -> dict[str, Any]:
        names = self._model.manifest.classes
        assert names is not None, "labels belong to models with classes"
        if label.index is not None:
            return {"index": label.index, "name": names[label.index], "weights": None}
        weights = {names[index]: weight for index, weight in sorted(label.weights.items())}
        return {"index": None, "name": None, "weights": weights}

    def _latent_b64(self, place: int) -> str | None:
        canonical_ND = self._drawing.latents.canonical_ND
        if canonical_ND is None:
            return None
        return base64.b64encode(canonical_ND[place].astype("<f4").tobytes()).decode("ascii")

    def _image_item(self, place: int) -> dict[str, Any]:
        image = self._drawn[place]
        return self._item("sample", image, self._recipe(place)) | self._facts(place)

    def _grid_item(self) -> dict[str, Any]:
        items = [
            {"role": "sample", **self._facts(place), "row": row, "column": column}
            for place, (row, column) in enumerate(self._cells())
        ]
        return self._item("grid", self._single_picture(), self._single_recipe()) | {"items": items}

    def _vector_data(self) -> list[dict[str, Any]]:
        if self._order.output_format == "png":
            items = [{"role": "sample", **self._facts(place)} for place in range(self._order.count)]
            return [self._item("histogram", self._single_picture(), self._single_recipe()) | {"items": items}]
        if self._order.output_format == "npy":
            return [
                self._item("sample", values, {}) | self._facts(place)
                for place, values in enumerate(self._drawn)
            ]
        return [
            {"role": "sample", "content_type": CONTENT_TYPES["json"], "values": values, **self._facts(place)}
            for place, values in enumerate(self._drawn)
        ]

    def _item(self, role: str, array: NDArray[Any], recipe: dict[str, Any]) -> dict[str, Any]:
        file_format = self._order.output_format
        content = encode_npy(array) if file_format == "npy" else self._encoded(array, file_format, recipe)
        return {
            "role": role,
            "content_type": CONTENT_TYPES[file_format],
            "b64_json": base64.b64encode(content).decode("ascii"),
            "seed": None,
            "index": None,
            "class_label": None,
            "latent_b64": None,
        }

    def _encoded(self, image: NDArray[np.uint8], file_format: str, recipe: dict[str, Any]) -> bytes:
        return encode_image(image, file_format, self._request.quality, recipe)

    def _cells(self) -> list[tuple[int, int]]:
        labels = self._order.labels
        if labels is not None and self._order.by_class:
            return class_cells([label.index or 0 for label in labels])
        return square_cells(self._order.count)

    def _single_picture(self) -> NDArray[np.uint8]:
        if not self._model.is_image:
            return draw_histogram(self._drawn.astype(np.float32))
        images: NDArray[np.uint8] = self._drawn.astype(np.uint8, copy=False)
        return draw_grid(images, self._cells()) if self._request.layout == "grid" else images[0]

    def _single_recipe(self) -> dict[str, Any]:
        """Return how to draw the one picture again.

        For a picture of several: ``seed``, ``index``, ``n`` and ``class_weights`` if the images follow one
        another in one seed and show the same; else the recipes of all as ``images``; and of more than
        ``_MOST_RECIPES`` only ``n``, their number.
        """
        if self._model.is_image and self._request.layout == "list":
            return self._recipe(0)
        count = self._order.count
        layout = "grid" if self._model.is_image else "histogram"
        sheet = {**self._common_recipe(), "layout": layout, "n": count}
        if self._is_one_series():
            return {**sheet, **self._image_recipe(0)}
        if count > _MOST_RECIPES:
            return sheet
        return {**sheet, "images": [self._image_recipe(place) for place in range(count)]}

    def _is_one_series(self) -> bool:
        """Tell whether the images follow one another in one seed, with one class or mixture for all."""
        first, labels = self._order.origins[0], self._order.labels
        return (
            first.seed is not None
            and first.index is not None
            and all(
                (origin.seed, origin.index) == (first.seed, first.index + place)
                for place, origin in enumerate(self._order.origins)
            )
            and (labels is None or all(label == labels[0] for label in labels))
        )

    def _recipe(self, place: int) -> dict[str, Any]:
        return {**self._common_recipe(), **self._image_recipe(place)}

    def _common_recipe(self) -> dict[str, Any]:
        truncation = self._order.truncation
        return {
            "model": self._model.name,
            "version": self._model.version,
            "model_digest": self._model.digest,
            "rng": RNG,
            "truncation": None if truncation is None else truncation.model_dump(mode="json"),
        }

    def _image_recipe(self, place: int) -> dict[str, Any]:
        """Return what tells one image from the others: its latent, and its class weights by class name."""
        origin = self._order.origins[place]
        recipe: dict[str, Any] = {"class_weights": None}
        if self._order.labels is not None:
            names = self._model.manifest.classes or ()
            weights = sorted(self._order.labels[place].weights.items())
            recipe["class_weights"] = {names[index]: weight for index, weight in weights}
        if origin.seed is not None:
            return {"seed": origin.seed, "index": origin.index, **recipe}
        if self._drawing.latents.canonical_ND is None:
            return {"z": self._drawing.latents.z_ND[place].tolist(), **recipe}
        return {"latent_b64": self._latent_b64(place), **recipe}
