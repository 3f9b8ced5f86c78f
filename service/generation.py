"""The use case of ``POST /generate``: check the request against the model, draw, and say what was drawn.

Shapes: N images, D latent dimensions, K classes; images are uint8 ``[N, H, W, C]``, vectors float32
``[N, size]``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from contract.latents import MAX_SEED, Truncation
from service.backend import Drawn, ModelBackend, Rows, joined
from service.batcher import Batcher, Delivery
from service.errors import InvalidInput, QueueFull
from service.labels import BALANCED, Label, read_labels, weights_matrix
from service.latent_refs import (
    Latents,
    Origin,
    check_truncation,
    referenced_latents,
    referenced_origins,
    seeded_latents,
    seeded_origins,
)
from service.models.repository import Repository, ServedModel
from service.schemas import GenerateRequest, describe, parse_generate_request

ReturnT = TypeVar("ReturnT")

_IMAGE_FORMATS = ("png", "jpeg", "webp", "npy")
_VECTOR_FORMATS = ("json", "npy", "png")


@dataclass(frozen=True)
class Order:
    """A request that the model can serve: every choice made, nothing computed yet."""

    model: ServedModel
    request: GenerateRequest
    origins: tuple[Origin, ...]
    labels: list[Label] | None
    output_format: str

    @property
    def count(self) -> int:
        """How many images, or vectors."""
        return len(self.origins)

    @property
    def truncation(self) -> Truncation | None:
        """The truncation, if any."""
        return self.request.truncation

    @property
    def by_class(self) -> bool:
        """Whether a grid's rows follow the classes."""
        return self.labels is not None and self.request.class_label == BALANCED


@dataclass(frozen=True)
class Drawing:
    """An order carried out."""

    order: Order
    latents: Latents
    pixels_or_values: Drawn
    queue_s: float
    inference_s: float
    batch_rows: int


def read_request(document: object, repository: Repository) -> GenerateRequest:
    """Return the request that a JSON document spells.

    A list of latents longer than its model allows is refused before its entries are looked at. Raises
    ``UnknownModel`` or ``InvalidInput``.
    """
    if isinstance(document, dict) and isinstance(document.get("latents"), list):
        reference = document.get("model")
        if not isinstance(reference, str | None):
            raise InvalidInput.at("/model", f"model: must be a string, not {describe(reference)}")
        _check_count("latents", len(document["latents"]), repository.resolve(reference))
    return parse_generate_request(document)


def place_order(request: GenerateRequest, repository: Repository) -> Order:
    """Check a request against its model, and draw a seed if it has none.

    Raises ``UnknownModel`` or ``InvalidInput``.
    """
    model = repository.resolve(request.model)
    manifest = model.manifest
    check_truncation(request.truncation, manifest.latent.prior)
    output_format = _output_format(request, model)
    origins = _origins(request, model)
    labels = read_labels(request.class_label, origins, manifest.classes)
    return Order(model, request, origins, labels, output_format)


def _origins(request: GenerateRequest, model: ServedModel) -> tuple[Origin, ...]:
    if request.latents is not None:
        return referenced_origins(request.latents)
    count = 1 if request.n is None else request.n
    _check_count("n", count, model)
    index = request.index or 0
    seed = secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed
    return seeded_origins(seed, index, count)


def _check_count(field: str, count: int, model: ServedModel) -> None:
    if not 1 <= count <= model.max_rows:
        what = "images" if model.is_image else "vectors"
        wanted = "a list of" if field == "latents" else "a whole number from"
        raise InvalidInput.at(
            f"/{field}",
            f"{field}: must be {wanted} 1 to {model.max_rows} ({what} a request), not {describe(count)}",
        )


def _output_format(request: GenerateRequest, model: ServedModel) -> str:
    """Return the format of each item; raises ``InvalidInput`` for one that the model has not."""
    allowed = _IMAGE_FORMATS if model.is_image else _VECTOR_FORMATS
    chosen = request.output_format or allowed[0]
    if chosen not in allowed:
        kind = "images" if model.is_image else "vectors"
        raise InvalidInput.at(
            "/output_format",
            f"output_format: {chosen} cannot be made of {kind}; this model allows {', '.join(allowed)}",
        )
    if request.layout == "grid" and not model.is_image:
        raise InvalidInput.at(
            "/layout", "layout: a model of vectors has no grid; output_format png draws one histogram of all"
        )
    return chosen


class Studio:
    """Carries out orders: latents and encoding on its threads, rows through the batcher."""

    def __init__(self, batcher: Batcher, pool: Executor) -> None:
        self._batcher = batcher
        self._pool = pool
        self._rows_on_threads: Counter[ModelBackend] = Counter()

    async def draw(self, order: Order, deadline: float) -> Drawing:
        """Draw what was ordered, before ``deadline`` of the event loop's clock.

        Raises ``InvalidInput`` for latents that do not fit the model, ``QueueFull`` if as many rows as may
        wait for the model are at the studio's threads already, and whatever the batcher raises.
        """
        backend = order.model.backend
        busy = self._rows_on_threads[backend]
        if busy + order.count > backend.queue_limit:
            raise QueueFull(
                f"{busy} rows of this model are being prepared or encoded and at most {backend.queue_limit} "
                f"may; {order.count} more do not fit."
            )
        latents, rows = await self.work_on(order, _prepare, order)
        delivery: Delivery[Drawn] = await self._batcher.submit(backend, rows, order.count, deadline)
        drawn = joined(delivery.results)
        return Drawing(order, latents, drawn, delivery.queue_s, delivery.run_s, delivery.batch_rows)

    async def work_on(self, order: Order, function: Callable[..., ReturnT], *args: Any) -> ReturnT:  # noqa: ANN401 - any arguments
        """Run a function on the studio's threads, where the order's rows count as waiting until it ends."""
        self._rows_on_threads[order.model.backend] += order.count
        try:
            return await self.off_loop(function, *args)
        finally:
            self._rows_on_threads[order.model.backend] -= order.count

    async def off_loop(self, function: Callable[..., ReturnT], *args: Any) -> ReturnT:  # noqa: ANN401 - any arguments
        """Run a function on the studio's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)


def _prepare(order: Order) -> tuple[Latents, Rows]:
    spec = order.model.manifest.latent
    if order.request.latents is None:
        latents = seeded_latents(order.origins, spec, order.truncation)
    else:
        latents = referenced_latents(order.request.latents, spec, order.truncation)
    classes = order.model.manifest.classes
    weights_NK = None
    if order.labels is not None and classes is not None:
        weights_NK = weights_matrix(order.labels, len(classes))
    return latents, Rows(latents.z_ND, weights_NK)
