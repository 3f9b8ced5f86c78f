"""``POST /interpolate``: images along a path through keyframes, with their classes and truncations."""

from __future__ import annotations

from collections.abc import Sequence

from contract.latents import Truncation, UndefinedLatent
from service.generation.label_reading import label_reader, refuse_label
from service.generation.labels import Label, between
from service.generation.latent_refs import (
    NOWHERE,
    Latents,
    Origin,
    Referenced,
    as_latents,
    check_truncation,
    referenced,
    referenced_origins,
)
from service.generation.order import Order, chosen_format
from service.latent_ops import Point, UndefinedSegment, interpolate, path_points
from service.models.repository import Repository
from service.models.served import ServedModel
from service.requests.bodies import InterpolateRequest, Keyframe
from service.requests.reading import read_body_as
from service.requests.wording import Location, describe, fault_at


def read_interpolate(document: object, _repository: Repository) -> InterpolateRequest:
    """Return the request that a JSON document spells; raises ``InvalidInput``."""
    return read_body_as(InterpolateRequest, document)


def place_interpolate(request: InterpolateRequest, repository: Repository) -> Order:
    """Check a request against its model; raises ``UnknownModel`` or ``InvalidInput``."""
    model = repository.resolve(request.model)
    output_format = chosen_format(request, model, animated=True)
    _check_method(request, model)
    _check_length(request, model)
    keyframes = request.keyframes
    ends = referenced_origins([keyframe.latent for keyframe in keyframes])
    labels = _keyframe_labels(keyframes, ends, model.manifest.classes)
    ends_truncations = _keyframe_truncations(keyframes, model)
    points = path_points(len(keyframes), request.steps, loop=request.loop)
    truncations = ends_truncations and [_between(ends_truncations, point) for point in points]
    return Order(
        model=model,
        body=request,
        output_format=output_format,
        roles=("frame",) * len(points),
        origins=tuple(_origin(point, ends) for point in points),
        labels=labels and [between(labels[one.first], labels[one.second], one.t) for one in points],
        truncation=truncations,
        latents=lambda: _latents(request, model, points, truncations),
        fps=request.fps,
    )


def _check_method(request: InterpolateRequest, model: ServedModel) -> None:
    """Raise ``InvalidInput`` for the one method that one dimension is too few for."""
    if request.method == "slerp" and model.manifest.latent.dim == 1:
        raise fault_at(
            ("method",),
            "slerp turns one latent into another, and this model's latents have one dimension; "
            "allowed: match, linear, cubic",
        )


def _check_length(request: InterpolateRequest, model: ServedModel) -> None:
    """Check how many images the path has before any of its points is made."""
    closed = int(not request.loop)
    segments = len(request.keyframes) - closed
    count = segments * (request.steps - 1) + closed
    if count <= model.max_frames:
        return
    raise fault_at(
        ("steps",),
        f"{len(request.keyframes)} keyframes with {describe(request.steps)} steps are "
        f"{describe(count)} images, and at most {model.max_frames} may be drawn a request",
    )


def _origin(point: Point, ends: Sequence[Origin]) -> Origin:
    """Return the seed and index of a keyframe, whose image this is; between keyframes there are none."""
    return NOWHERE if point.keyframe is None else ends[point.keyframe]


def _all_or_none(values: Sequence[object], what: str) -> None:
    """Raise ``InvalidInput`` if some keyframes have something and others have not."""
    missing = [number for number, value in enumerate(values) if value is None]
    if not missing or len(missing) == len(values):
        return
    raise fault_at(
        ("keyframes", missing[0], what),
        "it is missing, and other keyframes have one; give one to every keyframe, or to none",
    )


def _keyframe_labels(
    keyframes: Sequence[Keyframe], ends: Sequence[Origin], classes: Sequence[str] | None
) -> list[Label] | None:
    places = [("keyframes", number, "class_label") for number in range(len(keyframes))]
    if classes is None:
        for keyframe, place in zip(keyframes, places, strict=True):
            refuse_label(keyframe.class_label, place)
        return None
    _all_or_none([keyframe.class_label for keyframe in keyframes], "class_label")
    reader = label_reader(classes)
    return [
        reader.one(keyframe.class_label, origin, place)
        for keyframe, origin, place in zip(keyframes, ends, places, strict=True)
    ]


def _keyframe_truncations(keyframes: Sequence[Keyframe], model: ServedModel) -> list[Truncation] | None:
    given = [keyframe.truncation for keyframe in keyframes]
    _all_or_none(given, "truncation")
    truncations = [one for one in given if one is not None]
    for number, truncation in enumerate(truncations):
        place = ("keyframes", number, "truncation")
        check_truncation(truncation, model.manifest.latent.prior, place)
        if truncation.mode is not truncations[0].mode:
            raise fault_at(
                (*place, "mode"),
                f"it is {truncation.mode}, and that of keyframe 0 is {truncations[0].mode}; no path leads "
                "from one mode to another",
            )
    return truncations or None


def _between(truncations: Sequence[Truncation], point: Point) -> Truncation:
    first, second = truncations[point.first], truncations[point.second]
    if first.value == second.value:
        return first
    value = (1.0 - point.t) * first.value + point.t * second.value
    # Rounding may lead past an end, and past what is allowed.
    least, most = sorted((first.value, second.value))
    return Truncation(mode=first.mode, value=min(max(value, least), most))


def _place(point: Point) -> Location:
    return ("keyframes",) if point.keyframe is None else ("keyframes", point.keyframe, "latent")


def _latents(
    request: InterpolateRequest,
    model: ServedModel,
    points: Sequence[Point],
    truncations: Sequence[Truncation] | None,
) -> Latents:
    spec = model.manifest.latent
    references = [keyframe.latent for keyframe in request.keyframes]
    named = referenced(references, spec.dim, lambda place: ("keyframes", place, "latent"))
    try:
        path_ND = interpolate(named.values_ND, points, request.method, loop=request.loop)
    except UndefinedSegment as error:
        raise fault_at(
            ("keyframes", error.keyframe, "latent"), f"{error}; choose another method or another latent"
        ) from error
    except UndefinedLatent as error:
        raise fault_at(("keyframes",), str(error)) from error
    return as_latents(
        Referenced(path_ND, named.is_canonical),
        spec,
        truncations,
        place_of=lambda row: _place(points[row]),
        truncation_place=("keyframes", 0, "truncation"),
    )
