"""Transposed convolutions of one pixel as matrix products: the same images, and all else untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from service.models.rewriting.single_pixels import SinglePixelsAsProducts
from tests.fakes.layers import assert_same_images, kernel, one_layer, operators

PRODUCT = ["Flatten", "Gemm", "Reshape"]


def as_product(model: onnx.ModelProto) -> onnx.ModelProto:
    return SinglePixelsAsProducts(model).written()


def transposed(
    weights: np.ndarray, *, side: int = 1, bias: int | None = None, **given: Any
) -> onnx.ModelProto:
    return one_layer("ConvTranspose", weights, [len(weights), side, side], bias=bias, **given)


@pytest.mark.parametrize("bias", [5, None])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize("size", [(4, 4), (1, 1), (7, 3)])
def test_the_first_layer_of_a_generator(size: tuple[int, int], strides: list[int], bias: int | None) -> None:
    model = transposed(kernel(10, 5, *size), bias=bias, strides=strides)
    written = as_product(model)
    assert operators(written) == PRODUCT
    assert_same_images(written, model, (3, 10, 1, 1))


@pytest.mark.parametrize(
    "model",
    [
        transposed(kernel(10, 5, 4, 4), side=2),
        transposed(kernel(10, 5, 4, 4), pads=[1, 1, 1, 1]),
        transposed(kernel(10, 5, 4, 4), strides=[2, 2], output_padding=[1, 1]),
        transposed(kernel(10, 5, 4, 4), group=2),
        transposed(kernel(10, 5, 4, 4), dilations=[2, 2]),
        transposed(kernel(10, 5, 4, 4), auto_pad="SAME_LOWER"),
        transposed(kernel(10, 5, 4, 4), output_shape=[4, 4]),
        transposed(kernel(10, 5, 4, 4).astype(np.float16)),
    ],
)
def test_all_other_layers_stay(model: onnx.ModelProto) -> None:
    assert as_product(model).SerializeToString() == model.SerializeToString()


def test_a_computed_bias_stays() -> None:
    model = transposed(kernel(10, 5, 4, 4), bias=5)
    model.graph.node.insert(0, helper.make_node("Identity", ["bias"], ["computed"]))
    model.graph.node[1].input[2] = "computed"
    assert operators(as_product(model)) == ["Identity", "ConvTranspose"]
