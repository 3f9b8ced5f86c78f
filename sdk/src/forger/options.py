"""What may be asked for when something is drawn: each option once, for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from forger.latents import ClassLabel, L
from forger.requests import Truncation


class Common(TypedDict, total=False):
    """Options of everything that draws."""

    model: str | None
    """``name`` or ``name:version``; the service's default if left out."""
    truncation: Truncation | None
    """``("threshold", 0.7)`` or ``("scale", 0.7)``: closer to the typical."""


class Drawing(Common, total=False):
    """Options of what is drawn at once, into memory."""

    return_latents: bool
    """Whether each item tells its canonical latent."""


class Labelled(Drawing, total=False):
    """Options of what has classes."""

    class_label: ClassLabel | None
    """An index, a name, ``"random"``, ``"balanced"``, weights such as ``{"three": 0.5}``, or a list."""


class Sampling(Labelled, total=False):
    """Options of :meth:`forger.Client.generate`."""

    seed: int | None
    """0 to 2**53 - 1; a random one if left out, which each item tells."""
    index: int
    """The first image of the seed, 0 if left out."""
    latents: L | Sequence[L]
    """Instead of a seed."""


class Adding(Labelled, total=False):
    """Options of :meth:`forger.Client.arithmetic`."""

    jitter: int | Mapping[str, Any] | None
    """How many neighbours of the result to draw, or ``{"n": 8, "scale": 0.25, "seed": 0}``."""
    normalize: str
    """``match``, ``sphere`` or ``none``."""
    include_terms: bool
    """Whether to draw each term by itself, too."""


class Walking(Drawing, total=False):
    """Options of :meth:`forger.Client.interpolate`."""

    steps: int
    """Images from each keyframe to the next with both of them, 8 if left out."""
    loop: bool
    """Whether the path leads back to the first keyframe."""
    method: str
    """``slerp``, ``match``, ``linear`` or ``cubic``."""


class Bulk(Common, total=False):
    """Options of :meth:`forger.Client.bulk`."""

    sink: Required[str]
    """``folder:out/``, ``npz:out.npz``, ``wds:out/%05d.tar``, ``parquet:out/`` or ``zip:out.zip``."""
    seed: int | None
    """A random one if left out; a run that is taken up keeps its own."""
    class_label: int | str | Mapping[str, float] | None
    """One for all images, ``"random"`` or ``"balanced"``."""
    resume: bool
    """Whether to go on with the run that lies there; without one, it begins."""
    allow_missing: bool
    """Whether to finish without images that the service cannot draw; the manifest tells which they are."""
    concurrency: int
    """The most requests at once, 8 if left out; fewer as long as the service has too much to do."""
    progress: bool | None
    """Whether to show a bar; None: where standard error is a terminal."""
