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

from service.models.rewriting.editing import (
    has_graphs_inside,
    let_go_of_unused_weights,
    settings_of,
    weights_of,
)

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
    if has_graphs_inside(result.graph):
        return result
    weights = weights_of(result.graph)
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
    let_go_of_unused_weights(result.graph)
    return result


def _is_narrow(tensor: TensorProto) -> bool:
    """Tell whether a tensor is a kernel ``[O, I, h, w]`` to few channels."""
    if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 4:
        return False
    outputs, inputs = tensor.dims[:2]
    return bool(outputs <= _MOST_OUTPUTS and inputs >= _LEAST_INPUTS)


def _transposed_settings(node: onnx.NodeProto, kernel: TensorProto) -> dict[str, Any] | None:
    """Return the attributes of the transposed convolution, or None if it is of another kind."""
    given, size = settings_of(node), list(kernel.dims[2:])
    plain = {"group": 1, "strides": [1, 1], "dilations": [1, 1], "auto_pad": b"NOTSET", "kernel_shape": size}
    if any(given.get(name, value) != value for name, value in plain.items()):
        return None
    pads = [most - 1 - pad for most, pad in zip(size * 2, given.get("pads", [0] * 4), strict=True)]
    return None if min(pads) < 0 else {"kernel_shape": size, "pads": pads}
