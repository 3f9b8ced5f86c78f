"""What a run of a graph would take: memory and multiplications, worked out before any is spent.

A file of 152 bytes can ask for 16 GiB when it is loaded, as constants are computed then. So every shape must
be known beforehand, for every number of rows; what cannot be worked out is refused.
"""

from __future__ import annotations

import math
import secrets

import onnx
from onnx import numpy_helper

from service.errors import UnusableModel
from service.models.graph_shapes import Skeleton, Value, Values, not_known
from service.models.operators import INTEGERS, TYPE_BYTES

MOST_MULTIPLICATIONS = 10**12
"""Of one run: about twenty seconds of a core."""
# A cubic filter reads four by four.
_READ_PER_VALUE = 16
_MAY_BE_EMPTY = frozenset({"Constant", "Resize", "Upsample", "Concat", "Reshape"})


def check_budget(model: onnx.ModelProto, max_batch: int, most_bytes: int) -> None:
    """Raise ``UnusableModel`` if a run of 1 to ``max_batch`` rows could take more than is allowed.

    Constants are counted together, as they are all kept; other values from when they are made until they
    are used for the last time, and outputs, also those that nobody asks for, until the end.
    """
    costs = _Costs(model)
    sizes = {1 << power for power in range(max_batch.bit_length())} | {max_batch}
    sizes.add(1 + secrets.randbelow(max_batch))  # one that whoever made the graph could not foresee
    for rows in sorted(sizes, reverse=True):
        held, multiplications = costs.cost(rows)
        if held > most_bytes:
            raise UnusableModel(
                f"a run of {rows} rows would hold {held} bytes, and {most_bytes} at most are allowed"
            )
        if multiplications > MOST_MULTIPLICATIONS:
            raise UnusableModel(
                f"a run of {rows} rows would take {multiplications} multiplications, and "
                f"{MOST_MULTIPLICATIONS} at most are allowed"
            )


class _Costs:
    """What runs of a graph hold and compute."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._skeleton = Skeleton(model)
        self._nodes = self._skeleton.graph.node
        self._outputs = {value.name: value for value in model.graph.output}
        self._weights = {tensor.name for tensor in model.graph.initializer}
        self._known = _known_tensors(self._skeleton.graph)
        for node in self._nodes:
            self._check_pads(node)
        last_use = {name: place for place, node in enumerate(self._nodes) for name in node.input}
        self._ended: dict[int, list[str]] = {}
        for name, place in last_use.items():
            if name not in self._outputs:
                self._ended.setdefault(place, []).append(name)

    def cost(self, rows: int) -> tuple[int, int]:
        """Return the bytes that a run of so many rows holds at most, and its multiplications."""
        values = self._skeleton.values(rows)
        for name, output in self._outputs.items():
            _check_output(output, values[name], rows)
        constant = set(self._weights)
        kept = sum(values[name].bytes for name in constant)
        held = sum(values[name].bytes for name in self._skeleton.fed)
        most, multiplications = kept + held, 0
        for place, node in enumerate(self._nodes):
            inputs = [values[name] for name in node.input if name]
            outputs = [_known(values, name) for name in node.output if name]
            self._check_division(node, outputs)
            _check_emptiness(node, [*inputs, *outputs])
            made = sum(value.bytes for value in outputs)
            if constant.issuperset(name for name in node.input if name):
                constant.update(node.output)
                kept += made
            else:
                held += made
            most = max(most, kept + held + _workspace(node, inputs, outputs))
            multiplications += _multiplications(node, inputs, outputs)
            held -= sum(
                values[name].bytes for name in self._ended.get(place, ()) if name and name not in constant
            )
        return most, multiplications

    def _check_division(self, node: onnx.NodeProto, outputs: list[Value]) -> None:
        """Refuse whole numbers that are divided by what might be 0 or -1: the processor ends the process."""
        if node.op_type == "Div" and outputs and outputs[0].kind in INTEGERS:
            divisor = self._known.get(node.input[1])
            if divisor is None or not (numpy_helper.to_array(divisor) > 0).all():
                raise UnusableModel("the graph divides whole numbers by others than constants above 0")

    def _check_pads(self, node: onnx.NodeProto) -> None:
        """Refuse padding that takes away, by which shapes fall below nothing."""
        if node.op_type == "Pad":
            pads = self._known.get(node.input[1])
            if pads is None or not (numpy_helper.to_array(pads) >= 0).all():
                raise UnusableModel("the graph pads by others than constants of 0 or more")


def _known_tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the small constants of a graph."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors |= {name: one.t for name in node.output for one in node.attribute if one.name == "value"}
    return tensors


def _check_output(stated: onnx.ValueInfoProto, value: Value, rows: int) -> None:
    """Require an output to have the shape that the graph states, which is compared with the manifest."""
    row = tuple(dim.dim_value for dim in stated.type.tensor_type.shape.dim[1:])
    if value.shape != (rows, *row):
        raise UnusableModel(f"{stated.name[:60]!r} would be {list(value.shape)}, not {[rows, *row]}")


def _known(values: Values, name: str) -> Value:
    if name not in values:
        raise not_known(name)
    return values[name]


def _check_emptiness(node: onnx.NodeProto, values: list[Value]) -> None:
    """Refuse to compute of nothing, which kernels are not made for; only an absent setting may be empty."""
    if node.op_type not in _MAY_BE_EMPTY and any(value.size == 0 for value in values):
        raise UnusableModel(f"an operator {node.op_type} takes or makes a tensor of no values")


def _workspace(node: onnx.NodeProto, inputs: list[Value], outputs: list[Value]) -> int:
    """Return the bytes that an operator takes beside its inputs and outputs."""
    if node.op_type not in ("Conv", "ConvTranspose"):
        return 0
    image, weights = inputs[:2]
    column = weights.size // max(1, weights.shape[0])  # what one pixel reads, or one writes
    pixels = math.prod((outputs[0] if node.op_type == "Conv" else image).shape[2:])
    return column * pixels * TYPE_BYTES[weights.kind]


def _multiplications(node: onnx.NodeProto, inputs: list[Value], outputs: list[Value]) -> int:
    made = sum(value.size for value in outputs)
    match node.op_type:
        case "Conv":
            return made * (inputs[1].size // max(1, inputs[1].shape[0]))
        case "ConvTranspose":
            return inputs[0].size * (inputs[1].size // max(1, inputs[1].shape[0]))
        case "Gemm":
            return made * (inputs[0].size // max(1, outputs[0].shape[0]))
        case "MatMul":
            return made * inputs[0].shape[-1]
        case "AveragePool" | "MaxPool":
            kernel = [number for one in node.attribute if one.name == "kernel_shape" for number in one.ints]
            return made * int(math.prod(kernel))
    return _READ_PER_VALUE * (made + sum(value.size for value in inputs))
