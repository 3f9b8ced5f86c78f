"""Tiny model directories, made with onnx.helper: real files that the service loads as it loads any other.

Shapes: D latent dimensions, K classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from contract.digests import canonical_json, sha256_digest
from contract.latents import Prior, graph_input, standard_normal
from contract.layout import GENERATOR_FILE, PREVIEW_FILE, ModelDirectory
from contract.manifest import (
    METADATA_KEY,
    BatchInvariance,
    Canary,
    DatasetFacts,
    FileEntry,
    GraphSpec,
    ImageOutput,
    LatentSpec,
    Manifest,
    Parity,
    TrainingFacts,
    VectorOutput,
    write_manifest,
)
from contract.pixels import image_batch_to_pixels

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAN_AT = 1234.0
"""A ``nan`` model answers NaN for a row whose first z is this."""


@dataclass(frozen=True)
class FakeModel:
    """What to build: a generator of one random linear layer and a tanh, and its manifest."""

    name: str
    version: int = 1
    dim: int = 4
    classes: tuple[str, ...] | None = None
    output: ImageOutput | VectorOutput = field(
        default_factory=lambda: ImageOutput(height=6, width=5, channels=1)
    )
    prior: Prior = Prior.NORMAL
    nan: bool = False
    layers: int = 0
    """Square layers at the end, all of the same weights: they cost time."""
    nan_above: float | None = None
    """If given, NaN is answered for a row whose first z is greater: for some seeds and not others."""
    extra_nodes: Sequence[onnx.NodeProto] = ()
    preview: bytes | None = None


CONDITIONAL = FakeModel("grey", classes=DIGITS)
COLOUR = FakeModel("colour", dim=7, output=ImageOutput(height=4, width=9, channels=3))
UNIFORM = FakeModel("uniform", prior=Prior.UNIFORM)
SPHERE = FakeModel("sphere", prior=Prior.SPHERE)
VECTOR = FakeModel("vector", dim=1, output=VectorOutput(size=2), prior=Prior.UNIFORM)
FRAGILE = FakeModel("fragile", nan=True)
PATCHY = FakeModel("patchy", dim=4, nan_above=1.75)
"""Not among all: about one image in twenty-five of any seed cannot be drawn."""

ALL = (CONDITIONAL, COLOUR, UNIFORM, SPHERE, VECTOR, FRAGILE)


def build_graph(fake: FakeModel, essentials: object) -> onnx.ModelProto:
    """Return tanh(latent @ W + classes @ E) in the shape of the output."""
    seed = int.from_bytes(hashlib.sha256(f"{fake.name}:{fake.version}".encode()).digest()[:4], "little")
    random = np.random.default_rng(seed)
    row = _row_shape(fake.output)
    size = int(np.prod(row))
    initializers = [_constant("W", random.normal(size=(fake.dim, size)) / np.sqrt(fake.dim))]
    nodes = [helper.make_node("MatMul", ["latent", "W"], ["mixed"])]
    inputs = [helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["N", fake.dim])]
    last = "mixed"
    if fake.classes is not None:
        inputs.append(
            helper.make_tensor_value_info("class_weights", TensorProto.FLOAT, ["N", len(fake.classes)])
        )
        initializers.append(_constant("E", random.normal(size=(len(fake.classes), size))))
        nodes += [
            helper.make_node("MatMul", ["class_weights", "E"], ["shift"]),
            helper.make_node("Add", ["mixed", "shift"], ["shifted"]),
        ]
        last = "shifted"
    nodes.append(helper.make_node("Tanh", [last], ["flat"]))
    last = "flat"
    if fake.layers:
        initializers.append(_constant("S", random.normal(size=(size, size)) * 2 / np.sqrt(size)))
    for layer in range(fake.layers):
        nodes += [
            helper.make_node("MatMul", [last, "S"], [f"mixed{layer}"]),
            helper.make_node("Tanh", [f"mixed{layer}"], [f"layer{layer}"]),
        ]
        last = f"layer{layer}"
    if fake.nan or fake.nan_above is not None:
        nodes += _nan_nodes(last, initializers, fake.nan_above)
        last = "poisoned"
    initializers.append(numpy_helper.from_array(np.array([-1, *row], np.int64), "shape"))
    nodes.append(helper.make_node("Reshape", [last, "shape"], ["image"]))
    nodes.extend(fake.extra_nodes)
    outputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *row])]
    graph = helper.make_graph(nodes, fake.name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: canonical_json(essentials).decode()})
    return model


def _nan_nodes(last: str, initializers: list[onnx.TensorProto], above: float | None) -> list[onnx.NodeProto]:
    """Return nodes that add 0/0 to the rows whose first z is ``NAN_AT``, or greater than ``above``."""
    initializers += [
        numpy_helper.from_array(np.array(0, np.int64), "first"),
        _constant("trigger", np.array([NAN_AT if above is None else above])),
        _constant("nan", np.array([np.nan])),
        _constant("zero", np.zeros(1)),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
    ]
    return [
        helper.make_node("Gather", ["latent", "first"], ["head"], axis=1),
        helper.make_node("Equal" if above is None else "Greater", ["head", "trigger"], ["hit"]),
        helper.make_node("Where", ["hit", "nan", "zero"], ["poison"]),
        helper.make_node("Unsqueeze", ["poison", "axis"], ["column"]),
        helper.make_node("Add", [last, "column"], ["poisoned"]),
    ]


def _constant(name: str, array: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(array.astype(np.float32), name)


def _row_shape(output: ImageOutput | VectorOutput) -> tuple[int, ...]:
    if isinstance(output, ImageOutput):
        return (output.channels, output.height, output.width)
    return (output.size,)


def write_model(root: Path, fake: FakeModel) -> ModelDirectory:
    """Write the model's directory as an export would, and return it."""
    return write_graph(root, fake, build_graph(fake, essentials_of(fake)))


def essentials_of(fake: FakeModel) -> object:
    """Return what the graph's own metadata must say."""
    return _manifest(fake, {GENERATOR_FILE: FileEntry(sha256=sha256_digest(b""), bytes=0)}, ()).essentials()


def write_graph(root: Path, fake: FakeModel, graph: onnx.ModelProto) -> ModelDirectory:
    """Write a directory of any graph that takes and gives what the fake model does."""
    directory = ModelDirectory(root, fake.name, fake.version)
    directory.path.mkdir(parents=True)
    model = graph.SerializeToString()
    directory.generator.write_bytes(model)
    files = {GENERATOR_FILE: FileEntry(sha256=sha256_digest(model), bytes=len(model))}
    if fake.preview is not None:
        directory.preview.write_bytes(fake.preview)
        files[PREVIEW_FILE] = FileEntry(sha256=sha256_digest(fake.preview), bytes=len(fake.preview))
    manifest = _manifest(fake, files, _canaries(fake, model))
    directory.manifest.write_bytes(write_manifest(manifest))
    return directory


def write_models(root: Path, fakes: Sequence[FakeModel] = ALL) -> Path:
    """Write several models under one directory, and return that."""
    for fake in fakes:
        write_model(root, fake)
    return root


def _canaries(fake: FakeModel, model: bytes) -> tuple[Canary, ...]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    canaries = []
    for index in range(2):
        latent = standard_normal([11], [index], fake.dim)
        feed = {"latent": graph_input(latent, fake.prior)}
        weights = None
        if fake.classes is not None:
            weights = tuple(float(k == index % len(fake.classes)) for k in range(len(fake.classes)))
            feed["class_weights"] = np.array([weights], np.float32)
        output = session.run(["image"], feed)[0]
        array = image_batch_to_pixels(output)[0] if isinstance(fake.output, ImageOutput) else output[0]
        canaries.append(Canary.of(11, index, weights, array))
    return tuple(canaries)


def _manifest(fake: FakeModel, files: dict[str, FileEntry], canaries: tuple[Canary, ...]) -> Manifest:
    placeholder = Canary(
        seed=0,
        index=0,
        class_weights=None if fake.classes is None else (1.0,) + (0.0,) * (len(fake.classes) - 1),
        data="",
        sha256=sha256_digest(b""),
    )
    digest = sha256_digest(fake.name.encode())
    return Manifest(
        name=fake.name,
        version=fake.version,
        description=f"A fake named {fake.name}.",
        licence="Apache-2.0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        files=files,
        latent=LatentSpec(dim=fake.dim, prior=fake.prior),
        classes=fake.classes,
        output=fake.output,
        graph=GraphSpec(
            class_weights=None if fake.classes is None else "class_weights", output="image", opset=18
        ),
        training=TrainingFacts(
            recipe="fake",
            config={},
            dataset=DatasetFacts(name="none", digest=digest, images=0),
            steps=0,
            images_seen=0,
            seed=0,
            weights="raw",
            library_versions={},
            source_commit=None,
            wall_time_s=0.0,
        ),
        evaluation=None,
        parity=Parity(max_abs_difference=0.0, tolerance=1e-4, batches=(1,), cases=1),
        batch_invariance=(
            BatchInvariance(provider="CPUExecutionProvider", bit_identical=True, batches=(1,)),
        ),
        canaries=canaries or (placeholder,),
    )
