"""The shapes of a graph's values, for any number of rows, worked out without its weights and before a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx
from onnx import shape_inference

from service.errors import UnusableModel
from service.models.graph_audit import inputs_of
from service.models.operators import TYPE_BYTES, TYPES

# Larger ones are weights; smaller ones may be shapes, whose values other shapes follow from.
_MOST_VALUES_OF_A_SHAPE = 1024


@dataclass(frozen=True)
class Value:
    """One tensor of the graph: its shape and its type."""

    shape: tuple[int, ...]
    kind: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return self.size * TYPE_BYTES[self.kind]


Values = dict[str, Value]


class Skeleton:
    """A graph without its weights, and without what it says itself of the shapes inside."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
        graph = self._model.graph
        graph.name = "skeleton"
        graph.node.extend(model.graph.node)
        self.fed = inputs_of(model.graph)
        graph.input.extend(self.fed.values())
        for tensor in model.graph.initializer:
            if math.prod(tensor.dims) <= _MOST_VALUES_OF_A_SHAPE:
                graph.initializer.append(tensor)
            else:
                graph.input.append(
                    onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
                )
        graph.output.extend(
            onnx.helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, None)
            for value in model.graph.output
        )

    @property
    def graph(self) -> onnx.GraphProto:
        """Its nodes and its small constants."""
        return self._model.graph

    def values(self, rows: int) -> Values:
        """Return every value of the graph for so many rows; raises ``UnusableModel`` if one is not known."""
        for value in self._model.graph.input[: len(self.fed)]:
            value.type.tensor_type.shape.dim[0].dim_value = rows
        try:
            graph = shape_inference.infer_shapes(self._model, strict_mode=True, data_prop=True).graph
        except Exception as error:
            raise UnusableModel(f"the graph's shapes contradict one another: {error}") from error
        values = {tensor.name: Value(tuple(tensor.dims), tensor.data_type) for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            values[value.name] = _value(value)
        return values


def not_known(name: str) -> UnusableModel:
    """Return the error for a value whose shape does not follow from the inputs'."""
    return UnusableModel(f"the shape of {name[:60]!r} cannot be known before it is computed")


def _value(value: onnx.ValueInfoProto) -> Value:
    tensor = value.type.tensor_type
    if tensor.elem_type not in TYPE_BYTES:
        raise UnusableModel(f"{value.name[:60]!r} is of a type that is not allowed; allowed: {TYPES}")
    dims = tensor.shape.dim
    known = all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims)
    if not (tensor.HasField("shape") and known):
        raise not_known(value.name)
    return Value(tuple(dim.dim_value for dim in dims), tensor.elem_type)
