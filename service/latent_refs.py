"""Latent references: from what a request says to canonical latents and to what the graph is fed.

Shapes: N images, D latent dimensions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.latents import (
    MAX_SEED,
    TRUNCATION_MODES,
    Prior,
    Truncation,
    UndefinedLatent,
    graph_input,
    standard_normal,
)
from contract.manifest import LatentSpec
from service.errors import InvalidInput
from service.schemas import (
    MAX_LATENT_VALUE,
    AnyLatentRef,
    Base64Ref,
    GraphInputRef,
    LatentRef,
    SeedRef,
)

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an image's latent comes from: a seed and an index, or neither."""

    seed: int | None
    index: int | None


@dataclass(frozen=True)
class Latents:
    """The latents of N images: canonical (None where ``z`` was given), and as the graph takes them."""

    canonical_ND: Float32 | None
    z_ND: Float32
    origins: tuple[Origin, ...]


def seeded_origins(seed: int, index: int, count: int) -> tuple[Origin, ...]:
    """Return the origins of images ``index`` to ``index + count - 1`` of a seed; raises ``InvalidInput``."""
    if index + count - 1 > MAX_SEED:
        raise InvalidInput.at("/index", f"index: index + n - 1 must be at most {MAX_SEED}")
    return tuple(Origin(seed, index + place) for place in range(count))


def referenced_origins(references: Sequence[AnyLatentRef]) -> tuple[Origin, ...]:
    """Return where each referenced latent comes from."""
    return tuple(
        Origin(one.seed, one.index) if isinstance(one, SeedRef) else Origin(None, None) for one in references
    )


def check_truncation(truncation: Truncation | None, prior: Prior) -> None:
    """Raise ``InvalidInput`` for a truncation that means nothing for the prior."""
    modes = TRUNCATION_MODES[prior]
    if truncation is None or truncation.mode in modes:
        return
    allowed = f"allowed: {', '.join(modes)}" if modes else "leave truncation out"
    raise InvalidInput.at(
        "/truncation/mode",
        f"truncation: the mode {truncation.mode} means nothing for this model's {prior} prior; {allowed}",
    )


def seeded_latents(origins: Sequence[Origin], spec: LatentSpec, truncation: Truncation | None) -> Latents:
    """Return the latents of seeds and indices."""
    canonical_ND = standard_normal(
        [origin.seed or 0 for origin in origins], [origin.index or 0 for origin in origins], spec.dim
    )
    return Latents(canonical_ND, _graph_input(canonical_ND, spec.prior, truncation), tuple(origins))


def referenced_latents(
    references: Sequence[AnyLatentRef], spec: LatentSpec, truncation: Truncation | None
) -> Latents:
    """Return the latents that references spell; raises ``InvalidInput`` pointing at the one at fault."""
    origins = referenced_origins(references)
    if any(isinstance(one, GraphInputRef) for one in references):
        _check_graph_inputs(references, spec.prior, truncation)
        z_ND = np.stack([_row(one, place, spec.dim) for place, one in enumerate(references)])
        return Latents(None, z_ND, origins)
    canonical_ND = np.empty((len(references), spec.dim), np.float32)
    seeded = [place for place, origin in enumerate(origins) if origin.seed is not None]
    if seeded:
        drawn = seeded_latents([origins[place] for place in seeded], spec, None).canonical_ND
        canonical_ND[seeded] = drawn
    for place, reference in enumerate(references):
        if not isinstance(reference, SeedRef):
            canonical_ND[place] = _row(reference, place, spec.dim)
    return Latents(canonical_ND, _graph_input(canonical_ND, spec.prior, truncation), origins)


def _check_graph_inputs(
    references: Sequence[AnyLatentRef], prior: Prior, truncation: Truncation | None
) -> None:
    other = next((place for place, one in enumerate(references) if not isinstance(one, GraphInputRef)), None)
    if other is not None:
        raise InvalidInput.at(
            f"/latents/{other}", f"latents.{other}: z cannot be mixed with other kinds of latents"
        )
    if truncation is not None:
        raise InvalidInput.at(
            "/truncation", "truncation: it cannot be combined with z, which is used as it is"
        )
    if prior is Prior.SPHERE:
        raise InvalidInput.at(
            "/latents/0/z", "latents.0.z: a model with a sphere prior takes no z; give latent"
        )


def _graph_input(canonical_ND: Float32, prior: Prior, truncation: Truncation | None) -> Float32:
    try:
        return graph_input(canonical_ND, prior, truncation)
    except UndefinedLatent as error:
        raise InvalidInput.at("/latents", f"latents: {error}") from error


def _row(reference: AnyLatentRef, place: int, dim: int) -> Float32:
    """Return the values of one spelled-out reference, float32 ``[D]``."""
    if isinstance(reference, Base64Ref):
        return _decoded(reference, place, dim)
    assert isinstance(reference, (LatentRef, GraphInputRef)), "seeds are drawn together"
    key = "z" if isinstance(reference, GraphInputRef) else "latent"
    values = reference.z if isinstance(reference, GraphInputRef) else reference.latent
    if len(values) != dim:
        raise InvalidInput.at(
            f"/latents/{place}/{key}",
            f"latents.{place}.{key}: it has {len(values)} numbers; this model's latents have {dim}",
        )
    return np.array(values, np.float32)


def _decoded(reference: Base64Ref, place: int, dim: int) -> Float32:
    where, name = f"/latents/{place}/latent_b64", f"latents.{place}.latent_b64"
    try:
        raw = base64.b64decode(reference.latent_b64, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput.at(where, f"{name}: it is not base64") from None
    if len(raw) != 4 * dim:
        raise InvalidInput.at(
            where, f"{name}: it holds {len(raw)} bytes; {dim} float32 values, little-endian, are {4 * dim}"
        )
    values = np.frombuffer(raw, np.dtype("<f4")).astype(np.float32)
    if not np.all(np.abs(values) <= MAX_LATENT_VALUE):  # also false for NaN
        raise InvalidInput.at(
            where, f"{name}: values must be finite and at most {MAX_LATENT_VALUE:g} in size"
        )
    return values
