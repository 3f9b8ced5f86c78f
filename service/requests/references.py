"""Latent references: the four ways in which a body names a latent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from contract.latents import MAX_SEED
from service.latent_ops import MAX_LATENT_VALUE

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Coordinate = Annotated[float, Field(ge=-MAX_LATENT_VALUE, le=MAX_LATENT_VALUE, allow_inf_nan=False)]
Coordinates = Annotated[list[Coordinate], Field(fail_fast=True)]


class Strict(BaseModel):
    """An object of a body: no type is converted, no key unknown, and a key that is null is as if absent."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        if not isinstance(value, dict) or None not in value.values():
            return value
        known = cls._known_keys()
        return {key: field for key, field in value.items() if field is not None or key not in known}

    @classmethod
    def _known_keys(cls) -> Collection[str]:
        return cls.model_fields


class Reference(Strict):
    """A latent, named in one of four ways."""

    @classmethod
    def _known_keys(cls) -> Collection[str]:
        """Return the keys of all kinds: ``{"latent": […], "seed": null}`` is no contradiction."""
        return _REFERENCE_KEYS


class SeedRef(Reference):
    """The latent that a seed and an index name."""

    seed: Seed = Field(description="A whole number, without a decimal point.")
    index: Seed = Field(0, description="Which latent of the seed.")


class LatentRef(Reference):
    """A canonical latent, spelled out."""

    latent: Coordinates = Field(description="As many numbers as the model's latents have dimensions.")


class Base64Ref(Reference):
    """A canonical latent as base64 of float32, little-endian."""

    latent_b64: str = Field(description="Four bytes for each of the model's latent dimensions.")


class GraphInputRef(Reference):
    """What the graph is fed, as it is: no prior, no truncation. Never beside other kinds of latents."""

    z: Coordinates = Field(description="As many numbers as the model's latents have dimensions.")


REFERENCES: dict[str, type[Reference]] = {
    "seed": SeedRef,
    "latent": LatentRef,
    "latent_b64": Base64Ref,
    "z": GraphInputRef,
}
"""Each kind of reference by the key that tells it."""

_REFERENCE_KEYS = frozenset({*REFERENCES, "index"})

_SENTENCE = 'must be an object with one of "seed" (and "index"), "latent", "latent_b64" or "z"'


def union_tag(key: str) -> str:
    """Return the name under which pydantic's error locations mention a kind of reference.

    It is no key of any body, so that it can be taken out of a location again.
    """
    return f"<{key}>"


def _kind(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    kinds = [key for key in REFERENCES if value.get(key) is not None]
    return union_tag(kinds[0]) if len(kinds) == 1 else None


AnyLatentRef = Annotated[
    Annotated[SeedRef, Tag(union_tag("seed"))]
    | Annotated[LatentRef, Tag(union_tag("latent"))]
    | Annotated[Base64Ref, Tag(union_tag("latent_b64"))]
    | Annotated[GraphInputRef, Tag(union_tag("z"))],
    Discriminator(_kind, custom_error_type="latent_reference", custom_error_message=_SENTENCE),
]
