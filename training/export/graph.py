"""From a torch generator to the bytes of one ONNX file, and to a session that runs them.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch import Tensor, nn

from contract.digests import canonical_json
from contract.manifest import METADATA_KEY, GraphSpec
from training.fold import folded
from training.networks import Generator, GeneratorSpec
from training.sampling import Float32, Runner

OPSET = 20
_EXAMPLE_ROWS = 2
"""More than one: an example of one row would fix the graph to one row."""


class _Unconditional(nn.Module):
    """A generator's face without classes: ``latent`` in."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latent: Tensor) -> Tensor:
        return self.generator(latent)


class _Conditional(nn.Module):
    """A generator's face with classes: ``latent`` and ``class_weights`` in."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latent: Tensor, class_weights: Tensor) -> Tensor:
        return self.generator(latent, class_weights)


def graph_spec(spec: GeneratorSpec) -> GraphSpec:
    """Return the names that the exported graph's inputs and output have."""
    return GraphSpec(
        class_weights=None if spec.classes is None else "class_weights",
        output="image" if spec.output.kind == "image" else "value",
        opset=OPSET,
    )


def to_onnx(generator: Generator, spec: GeneratorSpec, essentials: dict[str, Any]) -> bytes:
    """Export the folded generator as one file's bytes; ``essentials`` stand in its metadata.

    Inputs ``latent`` float32 ``[N, D]`` and, with classes, ``class_weights`` float32 ``[N, K]``; output
    ``image`` float32 ``[N, C, H, W]`` or ``value`` ``[N, V]``; any N. ``onnx.checker`` has passed.
    """
    names = graph_spec(spec)
    inputs: dict[str, Tensor] = {"latent": torch.zeros(_EXAMPLE_ROWS, spec.latent_dim)}
    face: nn.Module = _Unconditional(folded(generator))
    if spec.classes is not None:
        inputs["class_weights"] = torch.full((_EXAMPLE_ROWS, spec.classes), 1.0 / spec.classes)
        face = _Conditional(folded(generator))
    batch = torch.export.Dim("batch", min=1)
    with _quiet_exporter():
        program = torch.onnx.export(
            face.eval(),
            kwargs=inputs,
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[names.output],
            dynamic_shapes={name: {0: batch} for name in inputs},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter returned no program")
    model = program.model_proto
    _strip(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, canonical_json(essentials).decode("utf-8")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter's notes on its own workings, of no use to who exports a model."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _strip(model: ModelProto) -> None:
    """Remove what the exporter notes of its own machine: paths, stack traces, module names."""
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "generator"
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for item in (
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
        *model.functions,
        *(node for function in model.functions for node in function.node),
    ):
        item.doc_string = ""
        del item.metadata_props[:]


def onnx_runner(model_bytes: bytes, spec: GeneratorSpec) -> Runner:
    """Return how to run the file on the CPU provider, as the service does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    names = graph_spec(spec)

    def run(latent_ND: Float32, weights_NK: Float32 | None) -> Float32:
        feed = {names.latent: latent_ND}
        if names.class_weights is not None and weights_NK is not None:
            feed[names.class_weights] = weights_NK
        return np.asarray(session.run([names.output], feed)[0])

    return run


def in_float16(model_bytes: bytes) -> bytes:
    """Return the same graph computing in float16, for GPUs; what goes in and comes out stays float32.

    Half the weight; ``onnx.checker`` has passed.
    """
    converted = OnnxModel(
        convert_float_to_float16(onnx.load_model_from_string(model_bytes), keep_io_types=True)
    )
    converted.topological_sort(is_deterministic=True)  # casts were put at the end
    onnx.checker.check_model(converted.model, full_check=True)
    return bytes(converted.model.SerializeToString(deterministic=True))


def read_metadata(model_bytes: bytes) -> dict[str, Any]:
    """Return the essentials that stand in an exported file."""
    model = onnx.load_model_from_string(model_bytes)
    found = {entry.key: entry.value for entry in model.metadata_props}
    return dict(json.loads(found[METADATA_KEY]))
