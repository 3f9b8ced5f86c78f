"""Small generators of many kinds of operators, as exporters write them: what an audit must let pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.digests import canonical_json
from contract.layout import ModelDirectory
from contract.manifest import METADATA_KEY, ImageOutput
from tests.fakes.models import FakeModel, essentials_of, write_graph

Step = tuple[str, list[object], dict[str, object]]
"""An operator, what it takes beside the last output (arrays or names), and its settings."""

_DIM, _CHANNELS, _SIDE = 4, 8, 6


def _weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32) / 4


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


_TO_GRID: list[Step] = [
    ("Gemm", [_weights(_CHANNELS * 9, _DIM), _weights(_CHANNELS * 9)], {"transB": 1}),
    ("Reshape", [_ints(-1, _CHANNELS, 3, 3)], {}),
]
_TO_IMAGE: list[Step] = [
    ("Conv", [_weights(1, _CHANNELS, 3, 3)], {"pads": [1, 1, 1, 1]}),
    ("Tanh", [], {}),
]
_DOUBLED = np.array([1, 1, 2, 2], np.float32)
_ROOM = np.ones(_CHANNELS, np.float32)

KINDS: dict[str, list[Step]] = {
    "convolved": [
        ("ConvTranspose", [_weights(_CHANNELS, _CHANNELS, 4, 4)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("BatchNormalization", [_ROOM, _ROOM, _ROOM, _ROOM], {}),
        ("LeakyRelu", [], {"alpha": 0.2}),
    ],
    "resized": [
        ("Resize", [np.array([], np.float32), _DOUBLED], {"mode": "linear"}),
        ("InstanceNormalization", [_ROOM, _ROOM], {}),
        ("Clip", [np.float32(-1), np.float32(1)], {}),
    ],
    "attended": [
        ("Resize", [np.array([], np.float32), _DOUBLED], {"mode": "cubic"}),
        ("Reshape", [_ints(0, _CHANNELS, _SIDE * _SIDE)], {}),
        ("MatMul", [_weights(_SIDE * _SIDE, _SIDE * _SIDE)], {}),
        ("Softmax", [], {"axis": -1}),
        ("LayerNormalization", [np.ones(_SIDE * _SIDE, np.float32)], {"axis": -1}),
        ("Reshape", [_ints(0, _CHANNELS, _SIDE, _SIDE)], {}),
    ],
    "arranged": [
        ("Pad", [_ints(0, 0, 1, 1, 0, 0, 2, 2)], {"mode": "reflect"}),
        ("Slice", [_ints(0, 0), _ints(6, 6), _ints(2, 3)], {}),
        ("Transpose", [], {"perm": [0, 1, 3, 2]}),
        ("ReduceMean", [_ints(1)], {"keepdims": 1}),
        ("Expand", [_ints(1, _CHANNELS, 1, 1)], {}),
        ("Gather", [np.arange(_CHANNELS)[::-1].copy()], {"axis": 1}),
    ],
    "tiled": [
        ("Tile", [_ints(1, 4, 1, 1)], {}),
        ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
        ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("Pow", [np.float32(2)], {}),
        ("Sqrt", [], {}),
    ],
    "shaped": [],
}


def build_kind(kind: str, essentials: object) -> onnx.ModelProto:
    """Return a graph of that kind of operators between a linear layer and a convolution."""
    initializers: list[onnx.TensorProto] = []
    nodes = _shape_of_old_exporters(initializers) if kind == "shaped" else []
    last = "latent"
    steps = [*_TO_GRID, *KINDS[kind]]
    if kind == "shaped":
        steps += [("Resize", [np.array([], np.float32), _DOUBLED], {}), ("Reshape", ["asked"], {})]
    for number, (operator, more, settings) in enumerate([*steps, *_TO_IMAGE]):
        names = [last]
        for place, value in enumerate(more):
            if isinstance(value, str):
                names.append(value)
                continue
            name = f"{operator}_{number}_{place}"
            initializers.append(numpy_helper.from_array(np.asarray(value), name))
            names.append(name)
        last = f"out_{number}"
        nodes.append(helper.make_node(operator, names, [last], **settings))
    nodes[-1].output[0] = "image"
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["N", _DIM])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, _SIDE, _SIDE])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: canonical_json(essentials).decode()})
    return model


def _shape_of_old_exporters(initializers: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Return nodes that work a shape out of the latent's, as tracing exporters write them."""
    initializers += [
        numpy_helper.from_array(np.array(0), "zeroth"),
        numpy_helper.from_array(_ints(0), "front"),
        numpy_helper.from_array(_ints(_CHANNELS, _SIDE), "middle"),
        numpy_helper.from_array(_ints(_SIDE // 2), "half"),
        numpy_helper.from_array(_ints(2), "two"),
    ]
    return [
        helper.make_node("Shape", ["latent"], ["whole"]),
        helper.make_node("Gather", ["whole", "zeroth"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "front"], ["rows_listed"]),
        helper.make_node("Mul", ["half", "two"], ["side"]),
        helper.make_node("Concat", ["rows_listed", "middle", "side"], ["asked"], axis=0),
    ]


def write_kind(root: Path, kind: str, write: Callable[..., ModelDirectory] = write_graph) -> ModelDirectory:
    """Write the directory of a model of that kind."""
    fake = FakeModel(kind, dim=_DIM, output=ImageOutput(height=_SIDE, width=_SIDE, channels=1))
    return write(root, fake, build_kind(kind, essentials_of(fake)))
