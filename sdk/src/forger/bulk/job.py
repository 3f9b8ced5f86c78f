"""What a bulk run is to draw, and how it is divided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from forger.errors import ForgerError, Misuse
from forger.models import Model
from forger.requests import Truncation, truncation_document

# Bytes of pixels, and images, of a segment: it is held in memory while it is drawn.
_SEGMENT_BYTES = 32 * 2**20
_SEGMENT_IMAGES = 4096
_CHUNK = 64


class ChangedModel(ForgerError):
    """The model is another one than the run began with: its images would not belong together."""


class ChangedJob(ForgerError, ValueError):
    """What lies at the place was begun with other arguments."""


@dataclass(frozen=True)
class Job:
    """``n`` images of a seed by one version of a model; ``class_label`` is one for all, or a rule."""

    n: int
    seed: int
    model: str
    version: int
    digest: str
    class_label: int | str | Mapping[str, float] | None
    truncation: Mapping[str, Any] | None
    shape: tuple[int, ...]
    classes: tuple[str, ...] | None
    segment: int
    """How many images a segment holds; the last one may hold fewer."""

    @classmethod
    def of(
        cls,
        model: Model,
        n: int,
        seed: int,
        class_label: int | str | Mapping[str, float] | None,
        truncation: Truncation | None,
    ) -> Self:
        """Return the job of drawing ``n`` images with a model; raises ``Misuse``."""
        if n < 1:
            raise Misuse(f"n must be at least 1, not {n}")
        if isinstance(class_label, list | tuple):
            raise Misuse("class_label of a bulk run is one for all images, 'random' or 'balanced'")
        size = 1 if model.draws_images else 4
        for edge in model.output_shape:
            size *= edge
        chunk = min(model.max_images, _CHUNK)
        wanted = max(1, min(_SEGMENT_IMAGES, _SEGMENT_BYTES // size))
        return cls(
            n=n,
            seed=seed,
            model=model.name,
            version=model.version,
            digest=model.digest,
            class_label=class_label,
            truncation=truncation_document(truncation).get("truncation"),
            shape=model.output_shape,
            classes=model.classes,
            segment=max(chunk, wanted // chunk * chunk),
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Return the job that :meth:`document` wrote."""
        classes = document["classes"]
        return cls(
            **{
                **document,
                "shape": tuple(document["shape"]),
                "classes": None if classes is None else tuple(classes),
            }
        )

    def document(self) -> dict[str, Any]:
        """Return the job as JSON keeps it."""
        return {**asdict(self), "shape": list(self.shape), "classes": self.classes and list(self.classes)}

    @property
    def draws_images(self) -> bool:
        """Whether it draws images, not vectors."""
        return len(self.shape) == 3

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return -(-self.n // self.segment)

    def range_of(self, segment: int) -> range:
        """Return the indices of a segment's images."""
        return range(segment * self.segment, min(self.n, (segment + 1) * self.segment))

    def chunks(self, segment: int, size: int) -> Iterator[range]:
        """Yield the indices of each request of a segment, ``size`` images each at most."""
        whole = self.range_of(segment)
        for first in range(whole.start, whole.stop, size):
            yield range(first, min(whole.stop, first + size))

    def body(self, indices: range) -> dict[str, Any]:
        """Return the body that draws these images."""
        body: dict[str, Any] = {
            "model": f"{self.model}:{self.version}",
            "seed": self.seed,
            "index": indices.start,
            "n": len(indices),
        }
        if self.class_label is not None:
            body["class_label"] = self.class_label
        if self.truncation is not None:
            body["truncation"] = self.truncation
        return body

    def require_same(self, begun: Job) -> None:
        """Raise ``ChangedModel`` or ``ChangedJob`` unless a job that was begun is this very one."""
        if (begun.model, begun.version) == (self.model, self.version) and begun.digest != self.digest:
            raise ChangedModel(
                f"{self.model}:{self.version} is another model by now ({self.digest}) than the run began "
                f"with ({begun.digest}): what is drawn now would not belong to what lies there"
            )
        ours, theirs = self.document(), begun.document()
        different = [name for name in ours if ours[name] != theirs[name] and name != "segment"]
        if different:
            told = ", ".join(f"{name}={theirs[name]!r} (now {ours[name]!r})" for name in different)
            raise ChangedJob(f"the run that lies there was begun with {told}")
