"""Layers that double an image as four convolutions: the same images, and all else untouched."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from service.errors import UnusableModel
from service.models.graph_budget import check_budget
from service.models.rewriting import as_cpus_are_quick_at
from service.models.rewriting.doublings import DoublingsInPhases
from tests.fakes.layers import assert_same_images, graph_of, kernel, one_layer, operators

ROWS = 64
FOUR = ["Conv"] * 4
INTERLEAVED = ["Concat", "Transpose", "Reshape", "Transpose", "Reshape", "Transpose"]
PLAIN_REPEAT = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def rewritten(model: onnx.ModelProto, *row: int, most_bytes: int = 2**30) -> onnx.ModelProto:
    """Return what becomes of a graph that says what rows it makes, as those that are served do."""
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", *row]))
    return as_cpus_are_quick_at(model, ROWS, most_bytes)


def in_phases(model: onnx.ModelProto) -> onnx.ModelProto:
    return DoublingsInPhases(model).written()


def transposed(weights: np.ndarray, *, bias: bool = False, **given: Any) -> onnx.ModelProto:
    outputs = weights.shape[1] if bias else None
    return one_layer(
        "ConvTranspose", weights, [len(weights), 5, 7], bias=outputs, **{"strides": [2, 2], **given}
    )


def repeated(
    weights: np.ndarray, pads: list[int], how: dict[str, Any] = PLAIN_REPEAT, scale: float = 2
) -> onnx.ModelProto:
    """Return a graph that repeats pixels and then convolves them."""
    scales = np.array([1, 1, scale, scale], np.float32)
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["large"], **how),
        helper.make_node("Conv", ["large", "kernel"], ["y"], pads=pads),
    ]
    return graph_of(nodes, [weights.shape[1], 5, 7], {"scales": scales, "kernel": weights})


def followed_by(*after: onnx.NodeProto, **weights: np.ndarray) -> onnx.ModelProto:
    """Return a graph of a layer that makes ``h``, and what comes after it."""
    layer = helper.make_node("ConvTranspose", ["x", "kernel"], ["h"], strides=[2, 2], pads=[1, 1, 1, 1])
    return graph_of([layer, *after], [16, 5, 7], {"kernel": kernel(16, 16, 4, 4), **weights})


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("size", "given"),
    [
        ((4, 4), {"pads": [1, 1, 1, 1]}),
        ((3, 3), {"pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
        ((3, 3), {"pads": [0, 0, 1, 1]}),
        ((2, 2), {}),
        ((5, 5), {"pads": [2, 2, 2, 2], "output_padding": [1, 1]}),
        ((6, 4), {"pads": [2, 1, 2, 1]}),
        ((4, 2), {"pads": [0, 0, 2, 0]}),
    ],
)
def test_transposed_convolutions(size: tuple[int, int], given: dict[str, Any], bias: bool) -> None:  # noqa: FBT001 - a parameter of the test
    model = transposed(kernel(32, 16, *size), bias=bias, **given)
    written = in_phases(model)
    assert operators(written) == FOUR + INTERLEAVED
    assert_same_images(written, model, (3, 32, 5, 7))
    assert operators(model) == ["ConvTranspose"], "what is given stays as it is"


@pytest.mark.parametrize(
    ("size", "pads"),
    [
        ((3, 3), [1, 1, 1, 1]),
        ((5, 5), [2, 2, 2, 2]),
        ((2, 3), [0, 1, 1, 1]),
        ((4, 3), [3, 2, 0, 0]),
    ],
)
@pytest.mark.parametrize("how", [PLAIN_REPEAT, {"mode": "nearest"}, {}])
def test_convolutions_of_repeated_pixels(size: tuple[int, int], pads: list[int], how: dict[str, Any]) -> None:
    model = repeated(kernel(16, 32, *size), pads, how)
    written = in_phases(model)
    assert operators(written) == FOUR + INTERLEAVED
    assert_same_images(written, model, (3, 32, 5, 7))


def resized(node: onnx.NodeProto, **weights: np.ndarray) -> onnx.ModelProto:
    """Return a graph of a resize of 16 channels of 4 by 4, which makes ``large``, and a convolution."""
    layer = helper.make_node("Conv", ["large", "kernel"], ["y"], pads=[1, 1, 1, 1])
    return graph_of([node, layer], [16, 4, 4], {"kernel": kernel(16, 16, 3, 3), **weights})


@pytest.mark.parametrize(
    ("scales", "is_doubling"),
    [([1, 1, 2, 2], True), ([1, 1, 2.2, 2.2], False), ([1, 1.05, 2, 2], False), ([1, 1, 2, 2.1], False)],
)
@pytest.mark.parametrize("stated_by", ["a weight", "a node"])
def test_only_twice_is_twice_and_not_what_is_rounded_to_it(
    scales: list[float],
    is_doubling: bool,  # noqa: FBT001 - a parameter of the test
    stated_by: str,
) -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["large"], **PLAIN_REPEAT)
    value = np.array(scales, np.float32)
    if stated_by == "a weight":
        model = resized(node, scales=value)
    else:
        model = resized(node)
        stated = helper.make_node("Constant", [], ["scales"], value=onnx.numpy_helper.from_array(value))
        model.graph.node.insert(0, stated)
    written = in_phases(model)
    assert ("Resize" not in operators(written)) is is_doubling
    assert "Constant" not in operators(written) or not is_doubling
    assert_same_images(written, model, (3, 16, 4, 4))


@pytest.mark.parametrize(
    ("settings_of_it", "is_doubling"),
    [
        ({}, True),
        ({"keep_aspect_ratio_policy": "stretch"}, True),
        ({"keep_aspect_ratio_policy": "not_larger"}, False),
    ],
)
def test_sizes_may_be_said_instead(settings_of_it: dict[str, Any], is_doubling: bool) -> None:  # noqa: FBT001 - a parameter
    node = helper.make_node(
        "Resize", ["x", "", "", "sizes"], ["large"], axes=[2, 3], **PLAIN_REPEAT, **settings_of_it
    )
    model = resized(node, sizes=np.array([8, 8]))
    written = in_phases(model)
    assert ("Resize" not in operators(written)) is is_doubling
    assert_same_images(written, model, (3, 16, 4, 4))


def test_scales_of_some_axes_stay() -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["large"], axes=[2, 3], **PLAIN_REPEAT)
    model = resized(node, scales=np.array([2, 2], np.float32))
    assert operators(in_phases(model)) == ["Resize", "Conv"]


def test_resizes_of_old_operator_sets_have_their_scales_in_another_place() -> None:
    for scale, is_doubling in ((2, True), (2.2, False)):
        node = helper.make_node("Resize", ["x", "scales"], ["large"])
        model = resized(node, scales=np.array([1, 1, scale, scale], np.float32))
        model.opset_import[0].version = 10
        written = in_phases(model)
        assert ("Resize" not in operators(written)) is is_doubling
        assert_same_images(written, model, (3, 16, 4, 4))


@given(
    operator=st.sampled_from(["ConvTranspose", "Conv"]),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    pads=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    output_padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_rewritten_draws_the_same(
    operator: str, size: tuple[int, int], pads: list[int], output_padding: tuple[int, int]
) -> None:
    weights = kernel(16, 16, *size)
    if operator == "Conv":
        model = repeated(weights, pads)
    else:
        model = transposed(weights, pads=pads, output_padding=list(output_padding))
    try:
        onnx.checker.check_model(model, full_check=True)
        before = [5 if operator == "Conv" else 3, 16, 5, 7]
        assert_same_images(model, model, before)
    except Exception:  # noqa: BLE001 - no such layer: it would draw nothing
        return
    assert_same_images(in_phases(model), model, before)


@pytest.mark.parametrize(
    "model",
    [
        transposed(kernel(16, 24, 4, 4), pads=[1, 1, 1, 1]),  # channels that make no blocks
        transposed(kernel(3, 16, 4, 4), pads=[1, 1, 1, 1]),
        transposed(kernel(16, 16, 4, 4)),  # two pixels more than twice as many
        transposed(kernel(16, 16, 4, 4), pads=[1, 1, 1, 1], strides=[1, 1]),
        transposed(kernel(16, 16, 4, 4), pads=[1, 1, 1, 1], strides=[2, 1]),
        transposed(kernel(16, 16, 4, 4), pads=[1, 1, 1, 1], group=2),
        transposed(kernel(16, 16, 2, 2), pads=[0, 0, 1, 1], dilations=[2, 2]),
        transposed(kernel(16, 16, 4, 4), auto_pad="SAME_UPPER"),
        transposed(kernel(16, 16, 4, 4), output_shape=[10, 14]),
        transposed(kernel(16, 16, 4, 4).astype(np.float16), pads=[1, 1, 1, 1]),
        transposed(kernel(16, 16, 1, 1), output_padding=[1, 1]),  # three of four kinds of pixels are empty
        repeated(kernel(16, 16, 1, 1), [0] * 4),  # as many multiplications, and the pixels apart
        repeated(kernel(16, 16, 3, 3), [0] * 4),  # smaller than twice the size
        repeated(kernel(16, 16, 3, 3), [1] * 4, scale=3),
        repeated(kernel(16, 16, 3, 3), [1] * 4, {"mode": "linear"}),
        repeated(kernel(16, 16, 3, 3), [1] * 4, {"nearest_mode": "ceil"}),
        repeated(kernel(16, 16, 3, 3), [1] * 4, {"coordinate_transformation_mode": "align_corners"}),
    ],
)
def test_all_other_layers_stay(model: onnx.ModelProto) -> None:
    assert in_phases(model).SerializeToString() == model.SerializeToString()


def test_computed_weights_stay() -> None:
    model = transposed(kernel(16, 16, 4, 4), pads=[1, 1, 1, 1])
    model.graph.node.insert(0, helper.make_node("Identity", ["kernel"], ["computed"]))
    model.graph.node[1].input[1] = "computed"
    assert operators(in_phases(model)) == ["Identity", "ConvTranspose"]


def test_what_is_done_to_each_pixel_becomes_part_of_the_convolutions() -> None:
    statistics = {name: np.linspace(0.5, 2, 16, dtype=np.float32) for name in ("a", "b", "mean", "variance")}
    model = followed_by(
        helper.make_node("BatchNormalization", ["h", *statistics], ["normal"]),
        helper.make_node("LeakyRelu", ["normal"], ["y"], alpha=0.3),
        **statistics,
    )
    written = in_phases(model)
    assert operators(written) == ["Conv", "BatchNormalization", "LeakyRelu"] * 4 + INTERLEAVED
    assert_same_images(written, model, (3, 16, 5, 7))


@pytest.mark.parametrize(
    "after",
    [
        [helper.make_node("Softplus", ["h"], ["y"])],  # none that kernels know
        [helper.make_node("Add", ["h", "h"], ["y"])],
        [helper.make_node("Relu", ["h"], ["r"]), helper.make_node("Add", ["h", "r"], ["y"])],
    ],
)
def test_what_else_comes_after_stays_after(after: list[onnx.NodeProto]) -> None:
    model = followed_by(*after)
    written = in_phases(model)
    assert operators(written) == FOUR + INTERLEAVED + [node.op_type for node in after]
    assert_same_images(written, model, (3, 16, 5, 7))


def test_a_value_that_the_graph_gives_out_stays() -> None:
    model = followed_by(helper.make_node("Relu", ["h"], ["y"]))
    model.graph.output.append(helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, [None] * 4))
    written = in_phases(model)
    assert operators(written) == [*FOUR, *INTERLEAVED, "Relu"]
    assert_same_images(written, model, (3, 16, 5, 7))


def test_repeated_pixels_that_others_take_in_stay() -> None:
    model = repeated(kernel(16, 16, 3, 3), [1] * 4)
    model.graph.node.append(helper.make_node("Add", ["large", "y"], ["sum"]))
    model.graph.output[0].name = "sum"
    written = in_phases(model)
    assert operators(written) == ["Resize", *FOUR, *INTERLEAVED, "Add"]
    assert_same_images(written, model, (3, 16, 5, 7))


def test_operators_without_an_input_stand_in_nobodys_way() -> None:
    two = helper.make_tensor("two", onnx.TensorProto.FLOAT, [], [2.0])
    model = followed_by(
        helper.make_node("Constant", [], ["two"], value=two), helper.make_node("Mul", ["h", "two"], ["y"])
    )
    written = in_phases(model)
    assert operators(written) == [*FOUR, *INTERLEAVED, "Constant", "Mul"]
    assert_same_images(written, model, (3, 16, 5, 7))


def test_several_layers_one_after_another() -> None:
    weights = {"first": kernel(32, 32, 4, 4), "second": kernel(16, 32, 3, 3), "last": kernel(1, 16, 3, 3)}
    scales = np.array([1, 1, 2, 2], np.float32)
    nodes = [
        helper.make_node("ConvTranspose", ["x", "first"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Resize", ["b", "", "scales"], ["c"], **PLAIN_REPEAT),
        helper.make_node("Conv", ["c", "second"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Conv", ["e", "last"], ["y"], pads=[1, 1, 1, 1]),
    ]
    model = graph_of(nodes, [32, 3, 4], {**weights, "scales": scales})
    written = rewritten(model, 1, 12, 16)
    assert {"Resize", "Relu"}.isdisjoint(operators(in_phases(model))[8:14])
    assert_same_images(written, model, (3, 32, 3, 4))


def test_other_processors_keep_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    model = transposed(kernel(16, 16, 4, 4), pads=[1, 1, 1, 1])
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert operators(rewritten(model, 16, 10, 14)) == ["ConvTranspose"]
    monkeypatch.setattr(platform, "machine", lambda: "AMD64")
    assert operators(rewritten(model, 16, 10, 14)) == FOUR + INTERLEAVED


def test_a_graph_stays_where_its_other_form_would_take_more_memory_than_is_allowed() -> None:
    model = transposed(kernel(16, 16, 4, 4), pads=[1, 1, 1, 1])
    rewritten(model, *(row := (16, 10, 14)))
    least = next(most for most in range(0, 2**25, 2**14) if fits(model, most))
    assert operators(rewritten(model, *row, most_bytes=least)) == ["ConvTranspose"]
    assert operators(rewritten(model, *row, most_bytes=2 * least)) == FOUR + INTERLEAVED


def fits(model: onnx.ModelProto, most_bytes: int) -> bool:
    try:
        check_budget(model, ROWS, most_bytes)
    except UnusableModel:
        return False
    return True
