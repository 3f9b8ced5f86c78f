"""Graphs of one layer or a few, for tests of what is rewritten in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


def kernel(*shape: int) -> np.ndarray:
    """Return weights, the same ones for a shape."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | None],
    weights: dict[str, np.ndarray],
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    """Return a graph that takes ``x``, rows of a shape, and makes outputs of as many dimensions."""
    kind = next(
        (
            helper.np_dtype_to_tensor_dtype(value.dtype)
            for value in weights.values()
            if value.dtype.kind == "f"
        ),
        onnx.TensorProto.FLOAT,
    )
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", kind, ["N", *shape])],
        [helper.make_tensor_value_info(name, kind, [None] * (len(shape) + 1)) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def one_layer(
    operator: str,
    weights: np.ndarray,
    shape: Sequence[int | None],
    *,
    bias: int | None = None,
    **settings: Any,
) -> onnx.ModelProto:
    """Return a graph of one layer from ``x`` to ``y``, with so many biases if it has any."""
    given = {"kernel": weights}
    if bias is not None:
        given["bias"] = np.linspace(-1, 1, bias, dtype=weights.dtype)
    return graph_of([helper.make_node(operator, ["x", *given], ["y"], "last", **settings)], shape, given)


def drawn(model: onnx.ModelProto, shape: Sequence[int]) -> np.ndarray:
    """Return what a graph's first output is for the same random input of a shape."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    runtime = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return np.asarray(runtime.run(None, {"x": x})[0])


def operators(model: onnx.ModelProto) -> list[str]:
    """Return the names of a graph's operators, in order."""
    return [node.op_type for node in model.graph.node]


def assert_same_images(written: onnx.ModelProto, model: onnx.ModelProto, shape: Sequence[int]) -> None:
    """Require a graph to be sound, to leave no weight over, and to draw what another draws."""
    onnx.checker.check_model(written, full_check=True)
    taken = {name for node in written.graph.node for name in node.input}
    assert {tensor.name for tensor in written.graph.initializer} <= taken
    before, after = drawn(model, shape), drawn(written, shape)
    assert before.shape == after.shape
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * max(1, np.abs(before).max()))
