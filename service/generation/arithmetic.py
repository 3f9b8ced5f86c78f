"""``POST /arithmetic``: the image of a weighted sum of latents, its neighbours, and the terms' own images.

Shapes: N images, R references of all terms, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.latents import UndefinedLatent, standard_normal
from contract.philox import Stream
from service.generation.label_reading import LabelReader, label_reader, refuse_label
from service.generation.labels import Label, blended
from service.generation.latent_refs import (
    NOWHERE,
    Latents,
    Referenced,
    as_latents,
    check_truncation,
    referenced,
)
from service.generation.order import Order, check_count, chosen_format
from service.latent_ops import CancelledOut, Normalization, WeightedMean, combine, neighbours
from service.models.repository import Repository
from service.models.served import ServedModel
from service.requests.bodies import ArithmeticRequest, Jitter
from service.requests.reading import read_body_as
from service.requests.wording import Location, fault_at

Float32 = NDArray[np.float32]


def read_arithmetic(document: object, _repository: Repository) -> ArithmeticRequest:
    """Return the request that a JSON document spells; raises ``InvalidInput``."""
    return read_body_as(ArithmeticRequest, document)


def place_arithmetic(request: ArithmeticRequest, repository: Repository) -> Order:
    """Check a request against its model; raises ``UnknownModel`` or ``InvalidInput``."""
    model = repository.resolve(request.model)
    check_truncation(request.truncation, model.manifest.latent.prior)
    output_format = chosen_format(request, model)
    roles = _roles(request, model)
    return Order(
        model=model,
        body=request,
        output_format=output_format,
        roles=roles,
        origins=(NOWHERE,) * len(roles),
        labels=_labels(request, model.manifest.classes, roles),
        truncation=request.truncation,
        latents=lambda: _latents(request, model),
    )


def _roles(request: ArithmeticRequest, model: ServedModel) -> tuple[str, ...]:
    """Return what each image is: the result, then its neighbours, then the terms."""
    jittered = 0 if request.jitter is None else request.jitter.n
    if jittered:
        check_count(("jitter", "n"), jittered, model.max_rows, model)
    terms = len(request.terms) if request.include_terms else 0
    roles = ("result", *("neighbour",) * jittered, *("term",) * terms)
    if len(roles) > model.max_drawn:
        raise fault_at(
            ("jitter", "n") if jittered else ("include_terms",),
            f"result, neighbours and terms are {len(roles)} images together; this model draws at most "
            f"{model.max_drawn} a request",
        )
    references = sum(len(term.of) for term in request.terms)
    if references > model.max_references:
        raise fault_at(
            ("terms",),
            f"they name {references} latents together; with this model's {model.manifest.latent.dim} "
            f"dimensions a request may name at most {model.max_references}",
        )
    return roles


def _labels(
    request: ArithmeticRequest, classes: Sequence[str] | None, roles: Sequence[str]
) -> list[Label] | None:
    """Return each image's label: the request's, or what the terms' labels add up to; terms show their own."""
    places = [("terms", number, "class_label") for number in range(len(request.terms))]
    if classes is None:
        refuse_label(request.class_label, ("class_label",))
        for term, place in zip(request.terms, places, strict=True):
            refuse_label(term.class_label, place)
        return None
    reader = label_reader(classes)
    own = [
        None if term.class_label is None else reader.one(term.class_label, NOWHERE, place)
        for term, place in zip(request.terms, places, strict=True)
    ]
    if isinstance(request.class_label, list):
        return reader.each_of(request.class_label, [NOWHERE] * len(roles), ("class_label",))
    if request.class_label is not None:
        result = reader.one(request.class_label, NOWHERE, ("class_label",))
    else:
        result = _sum_of_labels(request, own, reader)
    if not request.include_terms:
        return [result] * len(roles)
    return [result] * (len(roles) - len(own)) + [label or result for label in own]


def _sum_of_labels(request: ArithmeticRequest, own: Sequence[Label | None], reader: LabelReader) -> Label:
    given = [label for label in own if label is not None]
    if not given:
        # Raises: nothing here has a seed of which a class could be drawn.
        return reader.one(None, NOWHERE, ("class_label",))
    if len(given) < len(own):
        bare = own.index(None)
        raise fault_at(
            ("terms", bare, "class_label"),
            "it is missing, and other terms have one; give one to every term, or one class_label to the "
            "whole request",
        )
    result = blended(given, [term.weight for term in request.terms])
    if result is None:
        raise fault_at(
            ("terms",),
            "no class has a weight above 0 in the sum of the terms' labels; give a class_label to the "
            "whole request",
        )
    return result


def _latents(request: ArithmeticRequest, model: ServedModel) -> Latents:
    spec = model.manifest.latent
    references = [one for term in request.terms for one in term.of]
    places: list[Location] = [
        ("terms", number, "of", place)
        for number, term in enumerate(request.terms)
        for place in range(len(term.of))
    ]
    named = referenced(references, spec.dim, places.__getitem__)
    if not named.is_canonical and request.normalize == "sphere":
        raise fault_at(
            ("normalize",),
            "sphere cannot be combined with z, which is used as it is; allowed: match, none",
        )
    means, first = [], 0
    for term in request.terms:
        means.append(WeightedMean(term.weight, named.values_ND[first : first + len(term.of)]))
        first += len(term.of)
    result = _combined(means, request.normalize, ("terms",))
    rows = [result[np.newaxis]]
    if request.jitter is not None:
        rows.append(_jittered(result, request.jitter))
    if request.include_terms:
        alone = [
            _combined([WeightedMean(1.0, mean.latents_RD)], request.normalize, ("terms", number))
            for number, mean in enumerate(means)
        ]
        rows.append(np.stack(alone))
    drawn = Referenced(np.concatenate(rows), named.is_canonical)
    return as_latents(drawn, spec, request.truncation, place_of=lambda _row: ("terms",))


def _combined(terms: Sequence[WeightedMean], normalize: Normalization, place: Location) -> Float32:
    try:
        return combine(terms, normalize)
    except CancelledOut as error:
        raise fault_at(place, f"{error}; change a weight, or choose normalize none") from error
    except UndefinedLatent as error:
        raise fault_at(place, str(error)) from error


def _jittered(result_D: Float32, jitter: Jitter) -> Float32:
    noise_ND = standard_normal(
        [jitter.seed] * jitter.n, list(range(jitter.n)), len(result_D), stream=Stream.JITTER
    )
    try:
        return neighbours(result_D, noise_ND, jitter.scale)
    except UndefinedLatent as error:
        raise fault_at(("jitter",), str(error)) from error
