"""One version of a model as the service has it: what it is, what runs it, and what it allows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from contract.manifest import ImageOutput, Manifest
from service.backend import ModelBackend, most_latents
from service.settings import Precision


@dataclass(frozen=True, eq=False)
class ServedModel:
    """One version of a model, ready to draw."""

    manifest: Manifest
    digest: str
    backend: ModelBackend
    provider: str
    precision: Precision
    bit_identical: bool
    padding: str
    max_rows: int
    """The most images, or vectors, that a request may ask for by number or by latents."""
    max_frames: int
    """The most images, or vectors, of an interpolation."""
    max_drawn: int
    """The most rows of any request: memory and the queue hold no more."""
    preview: bytes | None
    """A PNG of what the model draws, if its directory has one."""

    @cached_property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @cached_property
    def version(self) -> int:
        """The model's version."""
        return self.manifest.version

    @cached_property
    def is_image(self) -> bool:
        """Whether the model draws images, not vectors."""
        return isinstance(self.manifest.output, ImageOutput)

    @property
    def max_references(self) -> int:
        """The most latents that the terms of a request may name."""
        return most_latents(self.manifest.latent.dim)
