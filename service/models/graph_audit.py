"""What an ONNX graph may hold: no data from outside the file, no foreign operators, no randomness."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from contract.manifest import ImageOutput, Manifest
from service.errors import UnusableModel

ALLOWED_DOMAINS = frozenset({"", "ai.onnx"})

RANDOM_OPERATORS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
"""Refused: the latent is an input, and an image is a pure function of it."""


def audit(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Raise ``UnusableModel`` unless the graph is self-contained and is what the manifest describes."""
    for entry in model.opset_import:
        _refuse(entry.domain not in ALLOWED_DOMAINS, f"operators of the domain {entry.domain!r}")
    for function in model.functions:
        _refuse(function.domain not in ALLOWED_DOMAINS, f"a function of the domain {function.domain!r}")
    for tensor in _tensors(model):
        external = tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data) > 0
        _refuse(external, f"external data (tensor {tensor.name!r})")
    for node in _nodes(model):
        _refuse(node.domain not in ALLOWED_DOMAINS, f"the operator {node.domain}::{node.op_type}")
        _refuse(node.op_type in RANDOM_OPERATORS, f"the random operator {node.op_type}")
    _check_signature(model.graph, manifest)


def _refuse(condition: bool, what: str) -> None:  # noqa: FBT001 - a guard, read as a sentence
    if condition:
        raise UnusableModel(f"the graph holds {what}, which is not allowed")


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield the main graph and every graph inside a node's attributes, at any depth."""
    pending = [model.graph]
    pending.extend(graph for function in model.functions for graph in _subgraphs(function.node))
    while pending:
        graph = pending.pop()
        yield graph
        pending.extend(_subgraphs(graph.node))


def _subgraphs(nodes: object) -> Iterator[onnx.GraphProto]:
    for node in nodes:  # type: ignore[attr-defined]  # a protobuf container, which has no public type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in _graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor: initializers, dense and sparse, and those in attributes."""
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        yield from _attribute_tensors(node.attribute)
    for function in model.functions:
        yield from _attribute_tensors(function.attribute_proto)


def _attribute_tensors(attributes: object) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:  # type: ignore[attr-defined]  # a protobuf container
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        sparse = [*attribute.sparse_tensors]
        if attribute.HasField("sparse_tensor"):
            sparse.append(attribute.sparse_tensor)
        for one in sparse:
            yield from (one.values, one.indices)


def _check_signature(graph: onnx.GraphProto, manifest: Manifest) -> None:
    """Compare names, types and shapes of the inputs and the output with the manifest."""
    names = manifest.graph
    expected: dict[str, tuple[int, ...]] = {names.latent: (manifest.latent.dim,)}
    if names.class_weights is not None and manifest.classes is not None:
        expected[names.class_weights] = (len(manifest.classes),)
    initialized = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in initialized}
    if set(inputs) != set(expected):
        raise UnusableModel(f"the graph's inputs are {sorted(inputs)}, the manifest's are {sorted(expected)}")
    for name, shape in expected.items():
        _check_value(inputs[name], shape)
    outputs = {value.name: value for value in graph.output}
    if names.output not in outputs:
        raise UnusableModel(f"the graph has no output {names.output!r}")
    output = manifest.output
    if isinstance(output, ImageOutput):
        _check_value(outputs[names.output], (output.channels, output.height, output.width))
    else:
        _check_value(outputs[names.output], (output.size,))


def _check_value(value: onnx.ValueInfoProto, row_shape: tuple[int, ...]) -> None:
    """Require float32 ``[N, *row_shape]`` with N left open."""
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise UnusableModel(f"the graph's {value.name!r} is not float32")
    dims = tensor.shape.dim
    shape = tuple(dim.dim_value for dim in dims[1:])
    if not dims or dims[0].HasField("dim_value") or shape != row_shape:
        raise UnusableModel(
            f"the graph's {value.name!r} has not the shape [N, {', '.join(map(str, row_shape))}]"
        )
