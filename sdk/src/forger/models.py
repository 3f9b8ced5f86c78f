"""What a service says of its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from forger.errors import BadAnswer


@dataclass(frozen=True)
class Model:
    """One version of a model, from ``GET /models``."""

    name: str
    version: int
    versions: tuple[int, ...]
    """The versions that are served under this name, rising."""
    is_default: bool
    digest: str
    classes: tuple[str, ...] | None
    """The names of its classes by index, or None."""
    latent_dim: int
    output_shape: tuple[int, ...]
    """``[H, W, C]`` of an image, ``[size]`` of a vector."""
    draws_images: bool
    truncation_modes: tuple[str, ...]
    max_images: int
    """The most images, or vectors, of one request."""
    max_frames: int
    """The most frames of one walk."""
    provider: str
    document: Mapping[str, Any]
    """All that the service says, as it says it."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Return a model of the service's document; raises ``BadAnswer`` if it is not one."""
        try:
            classes = document["classes"]
            return cls(
                name=document["name"],
                version=document["version"],
                versions=tuple(document["versions"]),
                is_default=document["default"],
                digest=document["digest"],
                classes=None if classes is None else tuple(one["name"] for one in classes),
                latent_dim=document["latent"]["dim"],
                output_shape=tuple(document["output"]["shape"]),
                draws_images=document["output"]["kind"] == "image",
                truncation_modes=tuple(document["truncation_modes"]),
                max_images=document["limits"]["rows_per_request"],
                max_frames=document["limits"]["frames_per_request"],
                provider=document["provider"],
                document=document,
            )
        except (KeyError, TypeError) as error:
            raise BadAnswer(f"what the service says of a model lacks {error}") from error


@dataclass(frozen=True)
class Standing:
    """How one version of a model stands, as ``/admin`` tells an operator."""

    name: str
    version: int
    state: str
    """``served``, ``loading``, ``refused`` or ``unloaded``."""
    current: bool
    """Whether it is what the name alone means."""
    pinned: bool
    digest: str | None
    """That of the version served; None of one that is not."""
    reason: str | None
    """Why it is refused, or what is wrong with the directory of one that is served."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Return a standing of the service's document; raises ``BadAnswer`` if it is not one."""
        try:
            given = {field.name: document[field.name] for field in fields(cls)}
        except (KeyError, TypeError) as error:
            raise BadAnswer(f"what the service says of how a version stands lacks {error}") from error
        for name, value in given.items():
            if type(value) not in _KINDS[name]:  # not isinstance: True is no version
                raise BadAnswer(f"how a version stands has {value!r} as its {name}")
        return cls(**given)


_TEXT_OR_NONE: tuple[type, ...] = (str, type(None))
_KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "version": (int,),
    "state": (str,),
    "current": (bool,),
    "pinned": (bool,),
    "digest": _TEXT_OR_NONE,
    "reason": _TEXT_OR_NONE,
}
