"""Latent references: from what a request says to canonical latents and to what the graph is fed.

Shapes: N images, D latent dimensions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import overload

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
from service.latent_ops import MAX_LATENT_VALUE
from service.requests.references import AnyLatentRef, Base64Ref, GraphInputRef, LatentRef, SeedRef
from service.requests.wording import Location, fault_at

Float32 = NDArray[np.float32]
PlaceOf = Callable[[int], Location]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an image's latent comes from: a seed and an index, or neither."""

    seed: int | None
    index: int | None


NOWHERE = Origin(None, None)


@dataclass(frozen=True)
class Latents:
    """The latents of N images: canonical (None where ``z`` was given), and as the graph takes them."""

    canonical_ND: Float32 | None
    z_ND: Float32


@dataclass(frozen=True)
class Referenced:
    """What references name: canonical latents, or with ``z`` what the graph is fed: float32 ``[N, D]``."""

    values_ND: Float32
    is_canonical: bool


class OriginsOfSeed(Sequence[Origin]):
    """The origins of images ``index`` to ``index + count - 1`` of a seed, each made when it is looked at."""

    def __init__(self, seed: int, index: int, count: int) -> None:
        """Raise ``InvalidInput`` if there are not so many indices."""
        if index + count - 1 > MAX_SEED:
            raise fault_at(("index",), f"index + n - 1 must be at most {MAX_SEED}")
        self.seed = seed
        self._indices = range(index, index + count)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, place: int) -> Origin: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Origin]: ...

    def __getitem__(self, place: int | slice) -> Origin | Sequence[Origin]:
        if isinstance(place, slice):
            return [Origin(self.seed, index) for index in self._indices[place]]
        return Origin(self.seed, self._indices[place])

    def __iter__(self) -> Iterator[Origin]:
        return map(Origin, repeat(self.seed), self._indices)


def referenced_origins(references: Sequence[AnyLatentRef]) -> tuple[Origin, ...]:
    """Return where each referenced latent comes from."""
    return tuple(Origin(one.seed, one.index) if isinstance(one, SeedRef) else NOWHERE for one in references)


def check_truncation(truncation: Truncation | None, prior: Prior, place: Location = ("truncation",)) -> None:
    """Raise ``InvalidInput`` for a truncation that means nothing for the prior."""
    modes = TRUNCATION_MODES[prior]
    if truncation is None or truncation.mode in modes:
        return
    allowed = f"allowed: {', '.join(modes)}" if modes else "leave truncation out"
    raise fault_at(
        (*place, "mode"),
        f"the mode {truncation.mode} means nothing for this model's {prior} prior; {allowed}",
    )


def seeded(origins: Sequence[Origin], dim: int) -> Referenced:
    """Return the canonical latents of seeds and indices."""
    seeds = [origin.seed or 0 for origin in origins]
    indices = [origin.index or 0 for origin in origins]
    return Referenced(standard_normal(seeds, indices, dim), is_canonical=True)


def referenced(references: Sequence[AnyLatentRef], dim: int, place_of: PlaceOf) -> Referenced:
    """Return what references name; raises ``InvalidInput`` pointing at the one at fault.

    ``place_of`` tells where in the body each reference stands.
    """
    if any(isinstance(one, GraphInputRef) for one in references):
        for place, one in enumerate(references):
            if not isinstance(one, GraphInputRef):
                raise fault_at(place_of(place), "z cannot be mixed with other kinds of latents")
        rows = [_row(one, place_of(place), dim) for place, one in enumerate(references)]
        return Referenced(np.stack(rows), is_canonical=False)
    origins = referenced_origins(references)
    values_ND = np.empty((len(references), dim), np.float32)
    drawn = [place for place, origin in enumerate(origins) if origin.seed is not None]
    if drawn:
        values_ND[drawn] = seeded([origins[place] for place in drawn], dim).values_ND
    for place, reference in enumerate(references):
        if not isinstance(reference, SeedRef):
            values_ND[place] = _row(reference, place_of(place), dim)
    return Referenced(values_ND, is_canonical=True)


def as_latents(
    referenced: Referenced,
    spec: LatentSpec,
    truncation: Truncation | Sequence[Truncation] | None,
    *,
    place_of: PlaceOf,
    truncation_place: Location = ("truncation",),
) -> Latents:
    """Return latents as the graph takes them: through the prior and truncated, or with ``z`` as they are.

    Raises ``InvalidInput``; ``place_of`` tells where in the body each latent comes from.
    """
    if not referenced.is_canonical:
        if truncation is not None:
            raise fault_at(truncation_place, "it cannot be combined with z, which is used as it is")
        return Latents(None, referenced.values_ND)
    try:
        z_ND = graph_input(referenced.values_ND, spec.prior, truncation)
    except UndefinedLatent as error:
        raise fault_at(place_of(error.row or 0), str(error)) from error
    return Latents(referenced.values_ND, z_ND)


def _row(reference: AnyLatentRef, place: Location, dim: int) -> Float32:
    """Return the values of one spelled-out reference, float32 ``[D]``."""
    if isinstance(reference, Base64Ref):
        return _decoded(reference, (*place, "latent_b64"), dim)
    assert isinstance(reference, (LatentRef, GraphInputRef)), "seeds are drawn together"
    key = "z" if isinstance(reference, GraphInputRef) else "latent"
    values = reference.z if isinstance(reference, GraphInputRef) else reference.latent
    if len(values) != dim:
        raise fault_at((*place, key), f"it has {len(values)} numbers; this model's latents have {dim}")
    return np.array(values, np.float32)


def _decoded(reference: Base64Ref, place: Location, dim: int) -> Float32:
    try:
        raw = base64.b64decode(reference.latent_b64, validate=True)
    except (binascii.Error, ValueError):
        raise fault_at(place, "it is not base64") from None
    if len(raw) != 4 * dim:
        raise fault_at(
            place, f"it holds {len(raw)} bytes; {dim} float32 values, little-endian, are {4 * dim}"
        )
    values = np.frombuffer(raw, np.dtype("<f4")).astype(np.float32)
    if not np.all(np.abs(values) <= MAX_LATENT_VALUE):  # also false for NaN
        raise fault_at(place, f"values must be finite and at most {MAX_LATENT_VALUE:g} in size")
    return values
