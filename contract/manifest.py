"""The manifest: what a model directory says of itself, and how that is proved.

A manifest is written once, at export, and never changed. Its digest, the sha256 of its canonical
JSON, names the model: the manifest holds the digest of every other file of the directory.
"""

from __future__ import annotations

import base64
import json
import zlib
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.digests import canonical_json, sha256_digest
from contract.documents import read_document
from contract.latents import RNG, Prior
from contract.layout import FLOAT16_FILE, GENERATOR_FILE, NAME_PATTERN
from contract.pixels import PIXEL_RULE

SCHEMA_VERSION: Literal[1] = 1
MOST_BYTES = 64 * 2**20
"""Of a manifest's file; all but ``MOST_TEXT_BYTES`` may be pixels of canaries."""
MOST_TEXT_BYTES = 2**20
METADATA_KEY = "forger"
"""The key of the ONNX file's ``metadata_props`` under which the essentials stand as JSON."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


class InvalidManifest(ValueError):
    """The text is no manifest; the message names the field and the fault."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Frozen):
    """A file of the model directory, as it was written."""

    sha256: Digest
    bytes: int = Field(ge=0)


class LatentSpec(_Frozen):
    """The latent that the graph takes: its length and the prior it was trained with."""

    dim: int = Field(ge=1, le=65_536)
    prior: Prior
    rng: Literal["philox4x32-10/icdf-v1"] = RNG


class ImageOutput(_Frozen):
    """The graph draws images, float32 ``[N, channels, height, width]`` in [-1, 1]."""

    kind: Literal["image"] = "image"
    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: Literal[1, 3, 4]
    pixel_rule: Literal["clip(round_half_even(x * 127.5 + 127.5), 0, 255)"] = PIXEL_RULE

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels: one drawn image as pixels."""
        return (self.height, self.width, self.channels)


class VectorOutput(_Frozen):
    """The graph draws vectors, float32 ``[N, size]``."""

    kind: Literal["vector"] = "vector"
    size: int = Field(ge=1, le=65_536)

    @property
    def shape(self) -> tuple[int]:
        """The size alone: one drawn vector."""
        return (self.size,)


Output = Annotated[ImageOutput | VectorOutput, Field(discriminator="kind")]


class GraphSpec(_Frozen):
    """The names of the ONNX graph's inputs and output, and its operator set."""

    latent: str = "latent"
    class_weights: str | None = None
    output: str
    opset: int


class DatasetFacts(_Frozen):
    """The data that the model was trained on."""

    name: str
    digest: Digest
    images: int = Field(ge=0)
    description: str = ""
    licence: str = ""


class TrainingFacts(_Frozen):
    """How the model came to be, in enough detail to make another."""

    recipe: str
    config: dict[str, Any]
    dataset: DatasetFacts
    steps: int = Field(ge=0)
    images_seen: int = Field(ge=0)
    seed: int
    weights: Literal["averaged", "raw"]
    library_versions: dict[str, str]
    source_commit: str | None
    wall_time_s: Number


class EvaluationFacts(_Frozen):
    """What the model's draws are worth: each metric beside its reference rows.

    ``rows`` maps a row's name (``generated``, ``real``) to its metrics by name.
    """

    images: int = Field(ge=1)
    seed: int
    weights: Literal["averaged", "raw"]
    truncation: str | None = None
    feature_space: dict[str, str | float] = {}
    rows: dict[str, dict[str, Number]]


class Parity(_Frozen):
    """The export's proof: the largest difference between torch and ONNX Runtime that was seen."""

    max_abs_difference: Number
    tolerance: Number
    batches: tuple[int, ...]
    cases: int = Field(ge=1)


class BatchInvariance(_Frozen):
    """Whether a row's output depends on the batch it runs in, as measured on one provider."""

    provider: str
    bit_identical: bool
    batches: tuple[int, ...]


class Canary(_Frozen):
    """One known draw: what (seed, index, class weights) gave at export, untruncated.

    ``data`` is the zlib-compressed raw array in base64: uint8 ``[H, W, C]`` for an image, float32
    little-endian ``[size]`` for a vector. ``sha256`` is of the raw bytes, for information: another
    processor may differ by a level.
    """

    seed: int = Field(ge=0)
    index: int = Field(ge=0)
    class_weights: tuple[Annotated[Number, Field(ge=-10_000, le=10_000)], ...] | None
    data: str
    sha256: Digest

    @classmethod
    def of(
        cls,
        seed: int,
        index: int,
        class_weights: tuple[float, ...] | None,
        array: NDArray[np.uint8] | NDArray[np.float32],
    ) -> Canary:
        """Record an array: uint8 pixels ``[H, W, C]`` or float32 values ``[size]``."""
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        return cls(
            seed=seed,
            index=index,
            class_weights=class_weights,
            data=base64.b64encode(zlib.compress(raw, 9)).decode("ascii"),
            sha256=sha256_digest(raw),
        )

    def array(self, output: ImageOutput | VectorOutput) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return the recorded array; raises ``InvalidManifest`` if it does not fit the output."""
        size = int(np.prod(output.shape)) * (1 if isinstance(output, ImageOutput) else 4)
        try:
            inflater = zlib.decompressobj()
            raw = inflater.decompress(base64.b64decode(self.data, validate=True), size + 1)
        except (ValueError, zlib.error) as error:
            raise InvalidManifest("canaries: data is not compressed base64") from error
        if len(raw) != size:
            raise InvalidManifest(f"canaries: data does not hold one output of shape {output.shape}")
        if isinstance(output, ImageOutput):
            return np.frombuffer(raw, np.uint8).reshape(output.shape)
        return np.frombuffer(raw, np.dtype("<f4")).astype(np.float32).reshape(output.shape)


class Manifest(_Frozen):
    """All that a model directory says of itself."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    description: str
    licence: str
    created: datetime
    files: Annotated[dict[str, FileEntry], Field(max_length=16)]
    latent: LatentSpec
    classes: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] | None
    output: Output
    graph: GraphSpec
    training: TrainingFacts
    evaluation: EvaluationFacts | None
    parity: Parity
    float16_parity: Parity | None = None
    """Of the file that computes in float16, if there is one."""
    batch_invariance: tuple[BatchInvariance, ...]
    canaries: tuple[Canary, ...] = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if GENERATOR_FILE not in self.files:
            raise ValueError(f"files must list {GENERATOR_FILE}")
        if (FLOAT16_FILE in self.files) != (self.float16_parity is not None):
            raise ValueError(f"{FLOAT16_FILE} and float16_parity must both be given or both be left out")
        if any(name.startswith(".") or not {"/", "\\", "\0"}.isdisjoint(name) for name in self.files):
            raise ValueError("files must be plain names inside the model directory")
        if self.classes is not None and not 1 <= len(set(self.classes)) == len(self.classes):
            raise ValueError("classes must be one or more different names")
        if (self.classes is None) != (self.graph.class_weights is None):
            raise ValueError("classes and graph.class_weights must both be given or both be null")
        expected = None if self.classes is None else len(self.classes)
        for canary in self.canaries:
            if (None if canary.class_weights is None else len(canary.class_weights)) != expected:
                raise ValueError("canaries must carry one weight for each class")
        return self

    def essentials(self) -> dict[str, Any]:
        """Return what the ONNX file repeats in its metadata, so that the two can be cross-checked."""
        return essentials(
            name=self.name,
            latent=self.latent,
            classes=self.classes,
            output=self.output,
            recipe=self.training.recipe,
            dataset_digest=self.training.dataset.digest,
        )


def essentials(
    *,
    name: str,
    latent: LatentSpec,
    classes: tuple[str, ...] | None,
    output: ImageOutput | VectorOutput,
    recipe: str,
    dataset_digest: str,
) -> dict[str, Any]:
    """Return the document that stands in the ONNX file's metadata under :data:`METADATA_KEY`."""
    return {
        "name": name,
        "latent": latent.model_dump(mode="json"),
        "classes": None if classes is None else list(classes),
        "output": output.model_dump(mode="json"),
        "recipe": recipe,
        "dataset_digest": dataset_digest,
    }


def write_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as the file's bytes: indented JSON for people, UTF-8."""
    document = manifest.model_dump(mode="json")
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def read_manifest(data: bytes) -> tuple[Manifest, str]:
    """Return the manifest in the bytes of its file, and its digest.

    The digest is taken of the document as it stands, not of what the schema makes of it, so that a
    later schema with more fields names an old model by the same digest.
    Raises ``InvalidManifest`` naming the field at fault.
    """
    try:
        document = read_document(data)
        digest = sha256_digest(canonical_json(document))
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InvalidManifest(f"{where}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidManifest(f"not a JSON document: {error}") from error
    if len(data) - sum(len(canary.data) for canary in manifest.canaries) > MOST_TEXT_BYTES:
        raise InvalidManifest(f"more than {MOST_TEXT_BYTES} bytes beside the canaries' data")
    return manifest, digest
