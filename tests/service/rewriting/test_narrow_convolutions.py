"""Narrow convolutions as transposed ones: the same images to float32's rounding, and all else untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.models.rewriting.narrow_convolutions import NarrowConvolutionsTransposed
from tests.fakes.layers import assert_same_images, drawn, kernel, one_layer, operators


def transposed(model: onnx.ModelProto) -> onnx.ModelProto:
    return NarrowConvolutionsTransposed(model).written()


def one_convolution(weights: np.ndarray, *, bias: bool = False, **settings: Any) -> onnx.ModelProto:
    shape = [None] * (weights.ndim - 1)
    return one_layer("Conv", weights, shape, bias=len(weights) if bias else None, **settings)


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
    written = transposed(model)
    assert operators(written) == ["ConvTranspose"]
    assert_same_images(written, model, (3, 8, 9, 11))
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
    assert transposed(model).SerializeToString() == model.SerializeToString()


def test_computed_weights_stay() -> None:
    model = one_convolution(kernel(1, 8, 3, 3))
    model.graph.node.insert(0, helper.make_node("Identity", ["kernel"], ["computed"]))
    model.graph.node[1].input[1] = "computed"
    assert operators(transposed(model)) == ["Identity", "Conv"]


def test_a_kernel_that_others_take_in_is_kept() -> None:
    model = one_convolution(kernel(1, 8, 3, 3))
    model.graph.node.append(helper.make_node("ReduceSum", ["kernel"], ["sum"]))
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, None))
    written = transposed(model)
    assert next(tensor.name for tensor in written.graph.initializer) == "kernel"
    assert drawn(written, (1, 8, 4, 4)).shape == (1, 1, 2, 2)
