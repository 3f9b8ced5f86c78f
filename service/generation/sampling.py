"""``POST /generate``: images of a seed, or of given latents, each with its class."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress

import orjson

from contract.latents import MAX_SEED
from service.backend import Seeded
from service.errors import InvalidInput, UnknownModel
from service.generation.label_reading import BALANCED, read_labels
from service.generation.latent_refs import (
    Latents,
    Origin,
    OriginsOfSeed,
    as_latents,
    check_truncation,
    referenced,
    referenced_origins,
    seeded,
)
from service.generation.order import Glimpse, Order, check_count, chosen_format
from service.models.repository import Repository
from service.models.served import ServedModel
from service.requests.bodies import GenerateRequest
from service.requests.reading import read_body_as
from service.requests.wording import Location, describe, fault_at


def glimpse_generate(body: bytes, repository: Repository) -> Glimpse | None:
    """Return the model and the number of images that a body names, if that can be seen at once.

    It is read as quickly as can be, and may break any rule of ours for JSON.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get("latents") is not None:
        return None
    count, reference = document.get("n", 1), document.get("model")
    if type(count) is not int or not isinstance(reference, str | None):
        return None
    with suppress(UnknownModel):
        model = repository.resolve(reference)
        if 1 <= count <= model.max_rows:
            return Glimpse(model, count)
    return None


def read_generate(document: object, repository: Repository) -> GenerateRequest:
    """Return the request that a JSON document spells.

    A list of latents longer than its model allows is refused before its entries are looked at. Raises
    ``UnknownModel`` or ``InvalidInput``.
    """
    if isinstance(document, dict) and isinstance(document.get("latents"), list):
        reference = document.get("model")
        if not isinstance(reference, str | None):
            raise fault_at(("model",), f"must be a string, not {describe(reference)}")
        _check_latents(len(document["latents"]), repository.resolve(reference))
    return read_body_as(GenerateRequest, document)


def place_generate(request: GenerateRequest, repository: Repository) -> Order:
    """Check a request against its model, and draw a seed if it has none.

    Raises ``UnknownModel`` or ``InvalidInput``.
    """
    model = repository.resolve(request.model)
    manifest = model.manifest
    check_truncation(request.truncation, manifest.latent.prior)
    output_format = chosen_format(request, model)
    origins = _origins(request, model)
    return Order(
        model=model,
        body=request,
        output_format=output_format,
        roles=("sample",) * len(origins),
        origins=origins,
        labels=read_labels(request.class_label, origins, manifest.classes),
        truncation=request.truncation,
        latents=_seeded(request, origins) or (lambda: _latents(request, model, origins)),
        by_class=manifest.classes is not None and request.class_label == BALANCED,
    )


def _origins(request: GenerateRequest, model: ServedModel) -> Sequence[Origin]:
    if request.latents is not None:
        given = [name for name in ("n", "seed", "index") if getattr(request, name) is not None]
        if given:
            raise InvalidInput.at(
                f"/{given[0]}", f"{given[0]} cannot be combined with latents, which stand alone"
            )
        _check_latents(len(request.latents), model)
        return referenced_origins(request.latents)
    count = 1 if request.n is None else request.n
    check_count(("n",), count, model.max_rows, model)
    index = request.index or 0
    seed = secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed
    return OriginsOfSeed(seed, index, count)


def _check_latents(count: int, model: ServedModel) -> None:
    if not 1 <= count <= model.max_rows:
        what = "images" if model.is_image else "vectors"
        raise fault_at(
            ("latents",), f"must be a list of 1 to {model.max_rows} ({what} a request), not {count}"
        )


def _seeded(request: GenerateRequest, origins: Sequence[Origin]) -> Seeded | None:
    """Return the latents by their names, if names are all that is asked for and told of them."""
    if request.latents is not None or request.return_latents:
        return None
    first = origins[0]
    assert first.seed is not None
    assert first.index is not None
    return Seeded(first.seed, range(first.index, first.index + len(origins)), request.truncation)


def _latents(request: GenerateRequest, model: ServedModel, origins: Sequence[Origin]) -> Latents:
    spec = model.manifest.latent
    if request.latents is None:
        named = seeded(origins, spec.dim)
    else:
        named = referenced(request.latents, spec.dim, _place)
    return as_latents(named, spec, request.truncation, place_of=_place)


def _place(row: int) -> Location:
    return ("latents", row)
