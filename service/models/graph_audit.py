"""What an ONNX graph may hold: no data from outside the file, and nothing that is not on the lists.

Nothing here is of ONNX Runtime, nor run: what the runtime would stumble over must not reach it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from contract.manifest import ImageOutput, Manifest
from service.errors import UnusableModel
from service.models.node_audit import check_node, held
from service.models.operators import DOMAINS, OPERATOR_SETS, RANDOM_OPERATORS, TYPE_BYTES, TYPES

MOST_NODES = 20_000
MOST_PARTS = 500_000
_MOST_RANK = 8
_MOST_NAME = 1_000
_FORBIDDEN_PARTS = {
    "SparseTensorProto": "a sparse tensor",
    "FunctionProto": "a function",
    "TrainingInfoProto": "training information",
    "TensorAnnotation": "a quantization annotation",
}


def audit(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Raise ``UnusableModel`` unless the graph is self-contained and is what the manifest describes.

    Its nodes are put in order, where they are not yet.
    """
    for tensor in _checked_parts(model):
        _check_tensor(tensor)
    _check_operator_sets(model)
    for node in model.graph.node:
        check_node(node, model.opset_import[0].version)
    _check_names(model.graph)
    _put_in_order(model.graph)
    _check_signature(model.graph, manifest)


def _parts(model: onnx.ModelProto) -> Iterator[tuple[Any, str]]:
    """Yield every message inside the file and the kind of the one around it, at any depth, of any kind."""
    pending: list[tuple[Any, str]] = [(model, "")]
    while pending:
        message, around = pending.pop()
        yield message, around
        kind = message.DESCRIPTOR.name
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending.extend((one, kind) for one in (value if field.is_repeated else [value]))


def _checked_parts(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Return all tensors, wherever they are; raises ``UnusableModel`` for any part that is not allowed.

    External data are looked for first, in what is not allowed as well: in subgraphs, functions, attributes,
    sparse tensors.
    """
    tensors: list[onnx.TensorProto] = []
    forbidden: list[str] = []
    for seen, (part, around) in enumerate(_parts(model)):
        if seen > MOST_PARTS:
            raise held(f"more than {MOST_PARTS} parts")
        kind = part.DESCRIPTOR.name
        if kind == "TensorProto":
            if part.data_location == TensorProto.EXTERNAL or len(part.external_data) > 0:
                raise held(f"external data (tensor {part.name[:60]!r})")
            tensors.append(part)
        elif kind == "NodeProto" and part.op_type in RANDOM_OPERATORS:
            forbidden.insert(0, f"the random operator {part.op_type}")
        elif kind in _FORBIDDEN_PARTS:
            forbidden.append(_FORBIDDEN_PARTS[kind])
        elif kind == "GraphProto" and around != "ModelProto":
            forbidden.append("a subgraph")
    if forbidden:
        raise held(forbidden[0])
    return tensors


def _check_operator_sets(model: onnx.ModelProto) -> None:
    for entry in model.opset_import:
        if entry.domain not in DOMAINS:
            raise held(f"operators of the domain {entry.domain[:60]!r}")
    versions = [entry.version for entry in model.opset_import]
    if len(versions) != 1 or versions[0] not in OPERATOR_SETS:
        raise UnusableModel(
            f"the graph is of the operator sets {versions[:5]}, and must be of one from "
            f"{OPERATOR_SETS.start} to {OPERATOR_SETS.stop - 1}"
        )


def _check_tensor(tensor: onnx.TensorProto) -> None:
    """Require numbers of an allowed type, exactly as many as the shape says, none of them NaN."""
    name = f"the tensor {tensor.name[:60]!r}"
    size = TYPE_BYTES.get(tensor.data_type)
    if size is None or tensor.HasField("segment") or len(tensor.string_data) > 0:
        raise UnusableModel(f"{name} is of a type that is not allowed; allowed: {TYPES}")
    if len(tensor.dims) > _MOST_RANK or any(dim < 0 for dim in tensor.dims):
        raise UnusableModel(f"{name} has no sound shape: {list(tensor.dims)[: _MOST_RANK + 1]}")
    values = math.prod(tensor.dims)
    if values > 2**40 or (tensor.HasField("raw_data") and len(tensor.raw_data) != values * size):
        raise UnusableModel(f"{name} does not hold the {values} values that its shape says")
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:
        raise UnusableModel(f"{name} does not hold the {values} values that its shape says") from error
    if array.size > 1 and array.dtype.kind == "f" and np.isnan(array).any():
        raise UnusableModel(f"{name} holds NaN")


def _check_names(graph: onnx.GraphProto) -> None:
    """Require every name to be given once, and to be used only if it is given."""
    if len(graph.node) > MOST_NODES or len(graph.initializer) > MOST_NODES:
        raise held(f"more than {MOST_NODES} nodes or tensors")
    known: set[str] = set()
    made = (name for node in graph.node for name in node.output if name)
    for name in (*inputs_of(graph), *(tensor.name for tensor in graph.initializer), *made):
        if not name or len(name) > _MOST_NAME:
            raise UnusableModel(f"a value of the graph has no name of 1 to {_MOST_NAME} characters")
        if name in known:
            raise UnusableModel(f"the graph makes {name[:60]!r} twice")
        known.add(name)
    used = [name for node in graph.node for name in node.input if name]
    for name in (*used, *(value.name for value in graph.output)):
        if name not in known:
            raise UnusableModel(f"the graph uses {name[:60]!r} and does not make it")
    if len({value.name for value in graph.output}) < len(graph.output):
        raise UnusableModel("the graph gives an output twice")


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Put every node behind those that it needs; raises ``UnusableModel`` if some need one another."""
    maker = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    needs = [{maker[name] for name in node.input if name in maker} for node in graph.node]
    if all(place > max(of_node, default=-1) for place, of_node in enumerate(needs)):
        return
    try:
        order = list(TopologicalSorter(dict(enumerate(needs))).static_order())
    except CycleError:
        raise UnusableModel("the graph goes round in a circle") from None
    nodes = [graph.node[place] for place in order]
    ordered = onnx.GraphProto(node=nodes)
    del graph.node[:]
    graph.node.extend(ordered.node)


def inputs_of(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """Return what a graph is fed, by name: old exporters list its weights as inputs too."""
    initialized = {tensor.name for tensor in graph.initializer}
    return {value.name: value for value in graph.input if value.name not in initialized}


def _check_signature(graph: onnx.GraphProto, manifest: Manifest) -> None:
    """Compare names, types and shapes of the inputs and the output with the manifest."""
    names = manifest.graph
    expected: dict[str, tuple[int, ...]] = {names.latent: (manifest.latent.dim,)}
    if names.class_weights is not None and manifest.classes is not None:
        expected[names.class_weights] = (len(manifest.classes),)
    inputs = inputs_of(graph)
    if set(inputs) != set(expected):
        found = sorted(name[:60] for name in inputs)[:10]
        raise UnusableModel(f"the graph's inputs are {found}, the manifest's are {sorted(expected)}")
    for name, shape in expected.items():
        _check_value(inputs[name], shape)
    outputs = {value.name: value for value in graph.output}
    if names.output not in outputs:
        raise UnusableModel(f"the graph has no output {names.output[:60]!r}")
    output = manifest.output
    if isinstance(output, ImageOutput):
        _check_value(outputs[names.output], (output.channels, output.height, output.width))
    else:
        _check_value(outputs[names.output], (output.size,))


def _check_value(value: onnx.ValueInfoProto, row_shape: tuple[int, ...]) -> None:
    """Require float32 ``[N, *row_shape]`` with N left open."""
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        raise UnusableModel(f"the graph's {value.name!r} is not float32")
    dims = tensor.shape.dim
    shape = tuple(dim.dim_value for dim in dims[1:])
    if not dims or dims[0].HasField("dim_value") or shape != row_shape:
        raise UnusableModel(
            f"the graph's {value.name!r} has not the shape [N, {', '.join(map(str, row_shape))}]"
        )
