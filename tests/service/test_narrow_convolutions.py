"""Narrow convolutions as transposed ones: the same images to float32's rounding, and all else untouched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.models.rewriting.narrow_convolutions import with_narrow_convolutions_transposed


def one_convolution(kernel: np.ndarray, *, bias: bool = False, **settings: Any) -> onnx.ModelProto:
    """Return a graph of a single convolution of ``x`` to ``y``."""
    weights = {"kernel": kernel}
    if bias:
        weights["bias"] = np.linspace(-1, 1, kernel.shape[0], dtype=kernel.dtype)
    kind = helper.np_dtype_to_tensor_dtype(kernel.dtype)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", *weights], ["y"], "last", **settings)],
        "one",
        [helper.make_tensor_value_info("x", kind, ["N", None, *[None] * (kernel.ndim - 2)])],
        [helper.make_tensor_value_info("y", kind, [None] * kernel.ndim)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def kernel(outputs: int, inputs: int, *size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((outputs, inputs, *size)).astype(np.float32)


def drawn(model: onnx.ModelProto, shape: Sequence[int]) -> np.ndarray:
    runtime = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return np.asarray(runtime.run(None, {"x": x})[0])


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("outputs", "size", "pads"),
    [
        (1, (3, 3), [1, 1, 1, 1]),
        (3, (7, 7), [3, 3, 3, 3]),
        (3, (1, 1), [0, 0, 0, 0]),
        (4, (3, 5), [0, 1, 2, 4]),
        (2, (4, 2), None),
    ],
)
def test_images_are_the_same(outputs: int, size: tuple[int, int], pads: list[int] | None, bias: bool) -> None:  # noqa: FBT001 - a parameter of the test
    settings = {} if pads is None else {"pads": pads}
    model = one_convolution(kernel(outputs, 8, *size), bias=bias, **settings)
    written = with_narrow_convolutions_transposed(model)
    onnx.checker.check_model(written, full_check=True)
    assert operators(written) == ["ConvTranspose"]
    before, after = drawn(model, (3, 8, 9, 11)), drawn(written, (3, 8, 9, 11))
    assert before.shape == after.shape
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    assert operators(model) == ["Conv"], "what is given stays as it is"
    assert len(written.graph.initializer) == len(model.graph.initializer)


@pytest.mark.parametrize(
    ("weights", "settings"),
    [
        (kernel(5, 8, 3, 3), {}),  # not narrow
        (kernel(1, 4, 3, 3), {}),  # of few channels itself
        (kernel(1, 8, 3, 3), {"strides": [2, 2]}),
        (kernel(1, 8, 3, 3), {"dilations": [2, 2]}),
        (kernel(4, 8, 3, 3), {"group": 2}),
        (kernel(1, 8, 3, 3), {"auto_pad": "SAME_UPPER"}),
        (kernel(1, 8, 3, 3), {"pads": [3, 1, 1, 1]}),  # wider than a transposed one can be cut
        (kernel(1, 8, 3), {}),  # of one dimension
        (kernel(1, 8, 3, 3).astype(np.float16), {}),
    ],
)
def test_all_other_convolutions_stay(weights: np.ndarray, settings: dict[str, Any]) -> None:
    model = one_convolution(weights, **settings)
    assert with_narrow_convolutions_transposed(model).SerializeToString() == model.SerializeToString()


def test_computed_weights_stay() -> None:
    model = one_convolution(kernel(1, 8, 3, 3))
    model.graph.node.insert(0, helper.make_node("Identity", ["kernel"], ["computed"]))
    model.graph.node[1].input[1] = "computed"
    assert operators(with_narrow_convolutions_transposed(model)) == ["Identity", "Conv"]


def test_a_kernel_that_others_take_in_is_kept() -> None:
    model = one_convolution(kernel(1, 8, 3, 3))
    model.graph.node.append(helper.make_node("ReduceSum", ["kernel"], ["sum"]))
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, None))
    written = with_narrow_convolutions_transposed(model)
    assert next(tensor.name for tensor in written.graph.initializer) == "kernel"
    assert drawn(written, (1, 8, 4, 4)).shape == (1, 1, 2, 2)
