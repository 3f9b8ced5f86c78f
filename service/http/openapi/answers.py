"""The JSON of all answers, as classes from which schemas are made; no answer is built of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contract.latents import MAX_SEED, RNG, TruncationMode
from contract.layout import NAME_PATTERN
from contract.manifest import Digest, EvaluationFacts, LatentSpec, TrainingFacts
from service.settings import Precision

REQUEST_ID_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"

Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
Version = Annotated[int, Field(ge=1)]
Seeded = Annotated[int, Field(ge=0, le=MAX_SEED)] | None
Milliseconds = Annotated[float, Field(ge=0)]
FileType = Literal["image/png", "image/jpeg", "image/webp", "application/x-npy"]


class _Said(BaseModel):
    """Every key is always there, and there is no other."""

    model_config = ConfigDict(extra="forbid")


class SingleClass(_Said):
    """An image of one class."""

    index: int = Field(ge=0)
    name: str
    weights: None


class Mixture(_Said):
    """An image between classes."""

    index: None
    name: None
    weights: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        description="By the classes' names; they sum to 1."
    )


ShownClass = Annotated[SingleClass | Mixture | None, Field(description="Null for a model without classes.")]


class Shown(_Said):
    """One drawn image or vector: where it comes from, and its class."""

    role: Literal["sample", "result", "neighbour", "term", "frame"] = Field(
        description="sample: of /generate. result, neighbour, term: of /arithmetic. frame: of /interpolate."
    )
    seed: Seeded = Field(description="Null if its latent comes from no seed.")
    index: Seeded
    class_label: ShownClass
    latent_b64: Base64 | None = Field(
        description="The canonical latent, float32 little-endian, with return_latents; null for z."
    )


class PlacedShown(Shown):
    """One image of a grid, and its cell."""

    row: int = Field(ge=0)
    column: int = Field(ge=0)


class FileFacts(Shown):
    """A line of an archive's manifest.jsonl for one image, or vector, with a file of its own."""

    content_type: FileType


class FileItem(FileFacts):
    """One image, or vector, as a file."""

    b64_json: Base64 = Field(description="The file.")


class VectorItem(Shown):
    """One vector as numbers."""

    content_type: Literal["application/json"]
    values: list[float]


class _Picture(_Said):
    seed: None
    index: None
    class_label: None
    latent_b64: None


class GridFacts(_Picture):
    """A line of an archive's manifest.jsonl for a grid."""

    role: Literal["grid"]
    content_type: FileType
    items: list[PlacedShown]


class Grid(GridFacts):
    """One picture of all images, with `layout: grid`."""

    b64_json: Base64


class AnimationFacts(_Picture):
    """A line of an archive's manifest.jsonl for an animation."""

    role: Literal["animation"]
    content_type: Literal["image/gif"]
    items: list[Shown]


class Animation(AnimationFacts):
    """One animation of all images, with `output_format: gif`."""

    b64_json: Base64


class HistogramFacts(_Picture):
    """A line of an archive's manifest.jsonl for a histogram."""

    role: Literal["histogram"]
    content_type: Literal["image/png"]
    items: list[Shown]


class Histogram(HistogramFacts):
    """One picture of how all vectors' values are spread, with `output_format: png`."""

    b64_json: Base64


class Timings(_Said):
    """How long each stage took, in milliseconds, and how many rows the largest run of the model had."""

    queue_ms: Milliseconds
    inference_ms: Milliseconds
    encode_ms: Milliseconds
    batch_rows: int = Field(ge=0)


class _Envelope(_Said):
    id: str = Field(pattern=r"^gen_[0-9a-f]{24}$")
    created: int = Field(description="Seconds since 1970-01-01 00:00 UTC.")
    model: str = Field(pattern=NAME_PATTERN)
    version: Version
    model_digest: Digest
    rng: Literal["philox4x32-10/icdf-v1"] = Field(description=f"How (seed, index) becomes a latent: {RNG}.")
    timings: Timings


class Answer(_Envelope):
    """What was drawn, and how to draw it again."""

    data: list[FileItem | VectorItem | Grid | Animation | Histogram] = Field(
        description="An item an image or vector; or a single grid, animation or histogram of all."
    )


class Done(_Envelope):
    """The data of a stream's last event, `done`."""

    count: int = Field(ge=1, description="How many images, or vectors, were drawn.")


class ImageOutput(_Said):
    """Images, height x width x channels."""

    kind: Literal["image"]
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: Literal[1, 3, 4]
    pixel_rule: str = Field(description="How the network's output x becomes a level from 0 to 255.")
    shape: list[int] = Field(min_length=3, max_length=3)


class VectorOutput(_Said):
    """Vectors of numbers."""

    kind: Literal["vector"]
    size: int = Field(ge=1)
    shape: list[int] = Field(min_length=1, max_length=1)


class ModelClass(_Said):
    """A class that the model can be asked for, by index or by name."""

    index: int = Field(ge=0)
    name: str


class Reproducibility(_Said):
    """Whether a row's output is the same in every batch on this machine, and by which padding."""

    bit_identical: bool
    padding: str


class ModelLimits(_Said):
    """How many images, or vectors, a request may ask for, and how many are drawn at once."""

    rows_per_request: int = Field(ge=1)
    frames_per_request: int = Field(ge=1)
    rows_per_run: int = Field(ge=1)


class ModelDescription(_Said):
    """A served model: what it draws, what it can be asked for, and how it came to be."""

    name: str = Field(pattern=NAME_PATTERN)
    version: Version
    versions: list[Version] = Field(description="All that are served, rising.")
    default: bool = Field(description="Whether it is meant where a request names no model.")
    description: str
    digest: Digest = Field(description="The sha256 of the model's manifest, which holds that of every file.")
    created: AwareDatetime
    latent: LatentSpec
    classes: list[ModelClass] | None = Field(description="Null for a model without classes.")
    output: ImageOutput | VectorOutput
    truncation_modes: list[TruncationMode]
    capabilities: list[
        Literal[
            "sampling", "latents", "arithmetic", "interpolation", "animation", "class_label", "class_mixture",
            "truncation",
        ]
    ]  # fmt: skip
    provider: str = Field(description="What runs the model, as ONNX Runtime calls it.")
    precision: Precision = Field(description="The numbers it is computed with.")
    reproducible: Reproducibility
    limits: ModelLimits
    licence: str
    evaluation: EvaluationFacts | None = Field(
        description="The quality of the model's draws: each metric beside its reference rows."
    )
    training: TrainingFacts


class ModelList(_Said):
    """The current version of every model."""

    data: list[ModelDescription]


class Health(_Said):
    """The service's state in a word."""

    status: Literal["alive", "ready"]


class BodyFault(_Said):
    """A fault in the body."""

    pointer: str = Field(description="A JSON pointer, as a URI's fragment spells it: #/latents/0/seed.")
    detail: str


class HeaderFault(_Said):
    """A fault in a header."""

    header: str
    detail: str


class ParameterFault(_Said):
    """A fault in the path or the query."""

    parameter: str
    detail: str


class Problem(_Said):
    """Why a request was not served (RFC 9457)."""

    type: str = Field(description="The kind of problem, a path that leads to a sentence of help.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong here, and what is allowed.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str = Field(pattern=REQUEST_ID_PATTERN)


class InputProblem(Problem):
    """Why values of a request were refused, each in `errors`."""

    errors: list[BodyFault | HeaderFault | ParameterFault] = Field(min_length=1)


ANSWERS: tuple[type[BaseModel], ...] = (
    Answer, Done, FileFacts, GridFacts, AnimationFacts, HistogramFacts,
    ModelDescription, ModelList, Health, Problem, InputProblem,
)  # fmt: skip
"""The roots: what they refer to comes with them."""
