"""The pixel rule as part of the graph: bytes come out of it, not floats to be turned into bytes afterwards.

A generator's float image is four times the size of its pixels, and would be walked over four times more.
Shapes: N rows, C channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_LEAST_OPSET = 13
"""From there on the operators below take their settings as inputs."""
_PREFIX = "forger_pixels/"

PIXELS = f"{_PREFIX}pixels"
"""The output that holds the pixels: uint8 ``[N, H, W, C]``."""
SUMS = f"{_PREFIX}sums"
"""The output that holds each row's sum, float32 ``[N]``: no number if the row holds one that is none."""


def with_pixels(model: onnx.ModelProto, image: str) -> onnx.ModelProto | None:
    """Return the graph with the outputs ``PIXELS`` and ``SUMS`` beside its float output ``image``.

    The rule is :data:`contract.pixels.PIXEL_RULE`, operation by operation; values are clipped before they are
    scaled, which makes the same of them and keeps what is none out of the sums' way. None if the graph is of
    an operator set too old for that.
    """
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < _LEAST_OPSET:
        return None
    half, low, high, axes = (f"{_PREFIX}{name}" for name in ("half", "low", "high", "axes"))
    constants = {
        half: np.float32(127.5),
        low: np.float32(-1),
        high: np.float32(1),
        axes: np.array([1, 2, 3], np.int64),
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("ReduceSum", [image, axes], SUMS, {"keepdims": 0}),
        ("Clip", [image, low, high], "clipped", {}),
        ("Mul", ["clipped", half], "scaled", {}),
        ("Add", ["scaled", half], "levels", {}),
        ("Round", ["levels"], "rounded", {}),
        ("Cast", ["rounded"], "bytes", {"to": TensorProto.UINT8}),
        ("Transpose", ["bytes"], PIXELS, {"perm": [0, 2, 3, 1]}),
    ]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, known = result.graph, {image, PIXELS, SUMS, *constants}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    for operator, inputs, output, attributes in steps:
        names = [name if name in known else f"{_PREFIX}{name}" for name in (*inputs, output)]
        graph.node.append(helper.make_node(operator, names[:-1], names[-1:], **attributes))
    graph.output.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, None))
    graph.output.append(helper.make_tensor_value_info(SUMS, TensorProto.FLOAT, None))
    return result
