"""Convolutions to a few channels, as most generators end with, written so that a processor is quick at them.

ONNX Runtime computes a convolution's output channels in blocks of eight or sixteen, asked for or not: one to
a single channel takes as long as one to sixteen. Its transposed convolution is a matrix product of as many
rows as are needed, and a sum of shifted images. With stride 1 the two are the same function, the kernel
turned by half a circle (Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", 4.1),
and this one takes a third to a sixth of the time.

Shapes: O output channels, I input channels, h by w the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_MOST_OUTPUTS = 4
_LEAST_INPUTS = 8
_PREFIX = "forger_narrow/"


def with_narrow_convolutions_transposed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its narrow two-dimensional convolutions of stride 1 as transposed ones.

    Images differ from the original graph's by float32's rounding. What is no such convolution stays as it is;
    so does what has weights that are computed, or of another type.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in result.graph.initializer}
    for number, node in enumerate(result.graph.node):
        tensor = weights.get(node.input[1]) if node.op_type == "Conv" and not node.domain else None
        if tensor is None or not _is_narrow(tensor):
            continue
        settings = _transposed_settings(node, tensor)
        if settings is None:
            continue
        kernel_IOhw = numpy_helper.to_array(tensor).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        name = f"{_PREFIX}{number}"
        result.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(kernel_IOhw), name))
        inputs = [node.input[0], name, *node.input[2:]]
        node.CopyFrom(helper.make_node("ConvTranspose", inputs, list(node.output), node.name, **settings))
    _let_go(result.graph)
    return result


def _is_narrow(tensor: TensorProto) -> bool:
    """Tell whether a tensor is a kernel ``[O, I, h, w]`` to few channels."""
    if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 4:
        return False
    outputs, inputs = tensor.dims[:2]
    return bool(outputs <= _MOST_OUTPUTS and inputs >= _LEAST_INPUTS)


def _transposed_settings(node: onnx.NodeProto, kernel: TensorProto) -> dict[str, Any] | None:
    """Return the attributes of the transposed convolution, or None if it is of another kind."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    size = list(kernel.dims[2:])
    plain = {"group": 1, "strides": [1, 1], "dilations": [1, 1], "auto_pad": b"NOTSET", "kernel_shape": size}
    if any(given.get(name, value) != value for name, value in plain.items()):
        return None
    pads = [most - 1 - pad for most, pad in zip(size * 2, given.get("pads", [0] * 4), strict=True)]
    return None if min(pads) < 0 else {"kernel_shape": size, "pads": pads}


def _let_go(graph: onnx.GraphProto) -> None:
    """Drop the kernels that nothing takes in any more."""
    taken = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    if any(attribute.HasField("g") or attribute.graphs for attribute in attributes):
        return  # nodes of a graph inside may take them in
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in taken]:
        graph.initializer.remove(tensor)
