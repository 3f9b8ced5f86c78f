"""What every rewriting keeps to, whatever layers it is for."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.models.rewriting import as_cpus_are_quick_at
from service.models.rewriting.doublings import DoublingsInPhases
from service.models.rewriting.editing import Rewriting
from service.models.rewriting.narrow_convolutions import NarrowConvolutionsTransposed
from service.models.rewriting.single_pixels import SinglePixelsAsProducts
from tests.fakes.layers import assert_same_images, drawn, graph_of, kernel, operators

DOUBLED = {"strides": [2, 2], "pads": [1, 1, 1, 1]}


def narrow(first: str, last: str) -> onnx.NodeProto:
    """Return a layer that is rewritten."""
    return helper.make_node("Conv", [first, "kernel"], [last], pads=[1, 1, 1, 1])


def test_a_value_for_what_may_be_fed_stays_whether_anybody_takes_it_in_or_not() -> None:
    weights = {"kernel": kernel(3, 8, 3, 3), "shift": kernel(5), "unused": kernel(2)}
    model = graph_of([narrow("x", "h"), helper.make_node("Add", ["h", "shift"], ["y"])], [8, 5, 5], weights)
    for name in ("shift", "unused"):
        shape = weights[name].shape
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    written = NarrowConvolutionsTransposed(model).written()
    assert operators(written) == ["ConvTranspose", "Add"]
    assert {"shift", "unused"} < {tensor.name for tensor in written.graph.initializer}
    np.testing.assert_allclose(drawn(written, (2, 8, 5, 5)), drawn(model, (2, 8, 5, 5)), atol=1e-4)


def test_what_leads_nowhere_goes_with_what_was_rewritten() -> None:
    nodes = [
        narrow("x", "y"),
        helper.make_node("Mul", ["x", "factor"], ["product"]),
        helper.make_node("Relu", ["product"], ["left over"]),
    ]
    model = graph_of(nodes, [8, 5, 5], {"kernel": kernel(3, 8, 3, 3), "factor": kernel(5)})
    written = NarrowConvolutionsTransposed(model).written()
    assert operators(written) == ["ConvTranspose"]
    assert_same_images(written, model, (2, 8, 5, 5))


def test_a_graph_with_nothing_to_rewrite_is_the_one_that_was_given() -> None:
    model = graph_of([helper.make_node("Relu", ["x"], ["y"])], [3], {})
    assert as_cpus_are_quick_at(model, 16, 2**30) is model


@pytest.mark.parametrize(
    ("rewriting", "operator", "given", "weights", "side"),
    [
        (DoublingsInPhases, "ConvTranspose", DOUBLED, kernel(16, 16, 4, 4), 5),
        (SinglePixelsAsProducts, "ConvTranspose", {}, kernel(8, 4, 4, 4), 1),
        (NarrowConvolutionsTransposed, "Conv", {"pads": [1, 1, 1, 1]}, kernel(3, 8, 3, 3), 5),
    ],
)
def test_layers_that_share_their_weights_stay_as_each_would_have_a_copy(
    rewriting: type[Rewriting],
    operator: str,
    given: dict[str, list[int]],
    weights: np.ndarray,
    side: int,
) -> None:
    channels = weights.shape[1 if operator == "Conv" else 0]

    def written(first: str, second: str) -> list[str]:
        nodes = [
            helper.make_node(operator, ["x", first], ["y"], **given),
            helper.make_node(operator, ["x", second], ["z"], **given),
        ]
        held = dict.fromkeys({first, second}, weights)
        model = graph_of(nodes, [channels, side, side], held, outputs=("y", "z"))
        return operators(rewriting(model).written())

    assert written("kernel", "kernel") == [operator] * 2
    assert written("one", "another") != [operator] * 2


def test_weights_that_the_graph_gives_out_stay() -> None:
    layer = helper.make_node("ConvTranspose", ["x", "kernel"], ["y"], **DOUBLED)
    model = graph_of([layer], [16, 5, 7], {"kernel": kernel(16, 16, 4, 4)}, outputs=("y", "kernel"))
    assert operators(DoublingsInPhases(model).written()) == ["ConvTranspose"]


def test_an_image_that_is_as_high_as_there_are_rows_stays() -> None:
    """What is put into the graph as a number is that of a single row."""
    nodes = [
        helper.make_node("Reshape", ["x", "to columns"], ["columns"]),  # [16, 2, N]
        helper.make_node("Transpose", ["columns"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["turned", "first"], ["image"]),  # [1, 16, N, 2]
        helper.make_node("ConvTranspose", ["image", "kernel"], ["large"], strides=[2, 2]),
        helper.make_node("Squeeze", ["large", "first"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["rows"], perm=[1, 0, 2]),  # [2N, 16, 4]
        helper.make_node("Reshape", ["rows", "to rows"], ["y"]),
    ]
    weights = {
        "kernel": kernel(16, 16, 2, 2),
        "to columns": np.array([16, 2, -1]),
        "to rows": np.array([-1, 2, 64]),
        "first": np.array([0]),
    }
    model = graph_of(nodes, [32], weights, outputs=("y",))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2, 64]))
    written = DoublingsInPhases(model).written()
    assert operators(written) == operators(model)
    assert_same_images(written, model, (3, 32))
