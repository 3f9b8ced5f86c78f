"""What a bulk run is to draw, and how it is divided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from forger.errors import ChangedJob, ChangedModel, Misuse
from forger.latents import whole
from forger.models import Model
from forger.requests import Truncation, truncation_document

# Bytes of pixels, and images, of a segment: it is held in memory while it is drawn.
_SEGMENT_BYTES = 32 * 2**20
_SEGMENT_IMAGES = 4096
# Images of a request. Vectors are small, but the classes of many would not fit into an answer's headers.
_CHUNK = 64
_CHUNK_OF_VECTORS = 4096
_MOST_INDEX = 2**53 - 1


def chunk_of(model: Model) -> int:
    """Return how many images one request of a bulk run draws."""
    small = not model.draws_images and model.classes is None
    return min(model.max_images, _CHUNK_OF_VECTORS if small else _CHUNK)


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
        n, seed = whole(n, "n"), whole(seed, "seed")
        if not 1 <= n <= _MOST_INDEX:
            raise Misuse(f"n must be from 1 to 2**53 - 1, not {n}")
        if not 0 <= seed <= _MOST_INDEX:
            raise Misuse(f"seed must be from 0 to 2**53 - 1, not {seed}")
        size = 1 if model.draws_images else 4
        for edge in model.output_shape:
            size *= edge
        chunk = chunk_of(model)
        wanted = max(1, min(_SEGMENT_IMAGES, _SEGMENT_BYTES // size))
        return cls(
            n=n,
            seed=seed,
            model=model.name,
            version=model.version,
            digest=model.digest,
            class_label=_one_label(class_label),
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


def _one_label(label: object) -> int | str | Mapping[str, float] | None:
    """Return a label as JSON keeps it, so that a run that is taken up has the same; raises ``Misuse``."""
    if label is None or isinstance(label, str):
        return label
    if isinstance(label, Mapping):
        return {str(name): float(weight) for name, weight in label.items()}
    try:
        return whole(label, "class_label")
    except Misuse:
        raise Misuse(
            "class_label of a bulk run is one for all images: an index, a name, weights, 'random' or "
            f"'balanced', not {label!r}"
        ) from None
