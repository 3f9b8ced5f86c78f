"""Graphs that would take far too much, if anybody let them, each with the reason to be given for it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.fakes.hostile_graphs import GraphChange, add, adding

_LARGE = 2**34


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def doubled(times: int) -> GraphChange:
    """Return a change that repeats what is there again and again, like a bomb of archives in archives."""

    def change(model: onnx.ModelProto) -> None:
        last = "flat"
        for number in range(times):
            last = add(model, "Concat", [last, last], f"twice_{number}", axis=1)

    return change


def kept(model: onnx.ModelProto) -> None:
    """Many constants, none of them too large: all of them are kept when they are folded."""
    for number in range(40):
        add(model, "ConstantOfShape", [_ints(2**24)], f"zeros_{number}")


def given_out(model: onnx.ModelProto) -> None:
    """Each value is soon used for the last time, and as an output kept to the end all the same."""
    times = 2**13
    last = add(model, "Tile", ["flat", _ints(1, times)], "wide")
    for number in range(64):
        last = add(model, "Neg", [last], f"turned_{number}")
        shape = ["N", 30 * times]
        model.graph.output.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, shape))


def by_value(model: onnx.ModelProto) -> None:
    """A shape that only the latent knows."""
    add(model, "ReduceSum", ["latent"], "sum", keepdims=0)
    add(model, "Cast", ["sum"], "number", to=TensorProto.INT64)
    add(model, "Reshape", ["number", _ints(1)], "listed")
    add(model, "ConstantOfShape", ["listed"])


def divided_by_the_latent(model: onnx.ModelProto) -> None:
    """The client's z could be 0: a whole number divided by it ends the process."""
    add(model, "Cast", ["latent"], "whole", to=TensorProto.INT32)
    add(model, "Div", [np.array([7], np.int32), "whole"])


def divided_by_nothing(model: onnx.ModelProto) -> None:
    add(model, "Div", [np.array([7], np.int64), np.array([0], np.int64)])


def convolved_widely(model: onnx.ModelProto) -> None:
    """Its result is small, and its workspace is not."""
    add(model, "ConstantOfShape", [_ints(1, 1, 2_100, 2_100)], "picture")
    add(model, "Conv", ["picture", np.ones((1, 1, 500, 500), np.float32)])


def multiplied(model: onnx.ModelProto) -> None:
    add(model, "ConstantOfShape", [_ints(6_000, 6_000)], "matrix")
    last = "matrix"
    for number in range(5):
        last = add(model, "MatMul", [last, "matrix"], f"power_{number}")


def another_shape(model: onnx.ModelProto) -> None:
    """The graph says one thing and computes another."""
    last = model.graph.node[-1]
    last.input[0] = add(model, "Concat", ["flat", "flat"], "wider", axis=0)


COSTLY: dict[str, tuple[GraphChange, str]] = {
    "a constant of 64 GiB": (adding("ConstantOfShape", _ints(_LARGE)), "would hold"),
    "a constant beyond counting": (adding("ConstantOfShape", _ints(2**62, 2**62)), "would hold|contradict"),
    "tiles": (adding("Tile", "flat", _ints(1, 2**31)), "would hold"),
    "an expansion": (adding("Expand", "flat", _ints(2**31, 1, 1)), "would hold"),
    "a resize": (adding("Resize", "image", np.array([], np.float32), np.array([1, 1, 9e4, 9e4], np.float32)),
                 "would hold"),
    "padding": (adding("Pad", "flat", _ints(0, 2**33, 0, 0)), "would hold"),
    "negative padding": (adding("Pad", "flat", _ints(0, -(2**33), 0, 0)), "pads by others than constants"),
    "a range": (adding("Range", np.int64(0), np.int64(2**40), np.int64(1)), "would hold"),
    "repetition": (doubled(40), "would hold|contradict"),
    "many constants": (kept, "would hold"),
    "many outputs": (given_out, "would hold"),
    "a shape by value": (by_value, "cannot be known before it is computed"),
    "a wide kernel": (convolved_widely, "would hold|multiplications"),
    "powers of a matrix": (multiplied, "would take"),
    "a division by the latent": (divided_by_the_latent, "divides whole numbers"),
    "a division by nothing": (divided_by_nothing, "divides whole numbers"),
    "another shape than it states": (another_shape, "would be|contradict"),
}  # fmt: skip
