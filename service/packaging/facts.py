"""What is said of each image of an order: where it comes from, its class, and how to draw it again."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from contract.latents import RNG
from service.generation.labels import Label
from service.generation.latent_refs import Latents
from service.generation.order import Order

MOST_RECIPES = 256
"""The recipe of a picture of more images than this holds their number, not how to draw each of them again."""


# Proxies refuse answers whose headers are long; JSON and a PNG's recipe hold mixtures of any length.
_LONGEST_HEADER = 2048


class Facts:
    """The facts of one order's images, by their place in it.

    Images that come from seeds have all their facts before their latents are drawn.
    """

    def __init__(self, order: Order, latents: Latents | None) -> None:
        self._order = order
        self._model = order.model
        self._latents = latents

    def of(self, place: int) -> dict[str, Any]:
        """Return the facts of one image as an item of ``data`` states them."""
        order, origin = self._order, self._order.origins[place]
        return {
            "role": order.roles[place],
            "seed": origin.seed,
            "index": origin.index,
            "class_label": None if order.labels is None else self._label(order.labels[place]),
            "latent_b64": self._latent_b64(place) if order.body.return_latents else None,
        }

    def headers(self) -> dict[str, str]:
        """Return the facts that all images share, as headers of a body that cannot carry them."""
        order, origin = self._order, self._order.origins[0]
        headers = {
            "X-Model": self._model.name,
            "X-Model-Version": str(self._model.version),
            "X-Model-Digest": self._model.digest,
        }
        if origin.seed is not None and all(one.seed == origin.seed for one in order.origins):
            headers |= {"X-Seed": str(origin.seed), "X-Index": str(origin.index)}
        labels = order.labels
        if labels and all(label == labels[0] for label in labels):
            fact = self._label(labels[0])
            text = fact["name"] if fact["weights"] is None else json.dumps(fact["weights"])
            spelled = quote(text, safe="")
            if len(spelled) <= _LONGEST_HEADER:
                headers["X-Class-Label"] = spelled
        elif labels and all(label.index is not None for label in labels):
            listed = ",".join(str(label.index) for label in labels)
            if len(listed) <= _LONGEST_HEADER:
                headers["X-Class-Indices"] = listed
        return headers

    def recipe(self, place: int) -> dict[str, Any]:
        """Return how to draw one image again."""
        return {**self._model_facts(), **self._image_recipe(place)}

    def recipe_of_all(self, layout: str) -> dict[str, Any]:
        """Return how to draw a picture of all images again.

        ``seed``, ``index``, ``n``, ``class_weights`` and ``truncation`` if the images follow one another in
        one seed and show the same; else the recipes of all as ``images``; and of more than
        ``MOST_RECIPES`` only ``n``, their number.
        """
        sheet = {**self._model_facts(), "layout": layout, "n": self._order.count}
        if self._is_one_series():
            return {**sheet, **self._image_recipe(0)}
        if self._order.count > MOST_RECIPES:
            return sheet
        return {**sheet, "images": [self._image_recipe(place) for place in range(self._order.count)]}

    def _is_one_series(self) -> bool:
        """Tell whether the images follow one another in one seed, alike in class and truncation."""
        order, first, labels = self._order, self._order.origins[0], self._order.labels
        return (
            first.seed is not None
            and first.index is not None
            and all(
                (origin.seed, origin.index) == (first.seed, first.index + place)
                for place, origin in enumerate(order.origins)
            )
            and (labels is None or all(label == labels[0] for label in labels))
            and all(order.truncation_of(place) == order.truncation_of(0) for place in range(order.count))
        )

    def _model_facts(self) -> dict[str, Any]:
        model = self._model
        return {"model": model.name, "version": model.version, "model_digest": model.digest, "rng": RNG}

    def _image_recipe(self, place: int) -> dict[str, Any]:
        """Return what tells one image from the others: its latent, class weights by name, and truncation."""
        origin, labels = self._order.origins[place], self._order.labels
        truncation = self._order.truncation_of(place)
        recipe = {
            "class_weights": None if labels is None else self._weights(labels[place]),
            "truncation": None if truncation is None else truncation.model_dump(mode="json"),
        }
        if origin.seed is not None:
            return {"seed": origin.seed, "index": origin.index, **recipe}
        assert self._latents is not None, "only seeds tell of a latent before it is drawn"
        if self._latents.canonical_ND is None:
            return {"z": self._latents.z_ND[place].tolist(), **recipe}
        return {"latent_b64": self._latent_b64(place), **recipe}

    def _label(self, label: Label) -> dict[str, Any]:
        if label.index is not None:
            return {"index": label.index, "name": self._names[label.index], "weights": None}
        return {"index": None, "name": None, "weights": self._weights(label)}

    def _weights(self, label: Label) -> dict[str, float]:
        names = self._names
        return {names[index]: weight for index, weight in sorted(label.weights.items())}

    @property
    def _names(self) -> tuple[str, ...]:
        names = self._model.manifest.classes
        assert names is not None, "labels belong to models with classes"
        return names

    def _latent_b64(self, place: int) -> str | None:
        assert self._latents is not None, "only seeds tell of a latent before it is drawn"
        canonical_ND = self._latents.canonical_ND
        if canonical_ND is None:
            return None
        return base64.b64encode(canonical_ND[place].astype("<f4").tobytes()).decode("ascii")
