"""Layers that double an image, written as four plain convolutions of what is doubled.

The pixels that a transposed convolution of stride 2 makes are of four kinds, by even and odd rows and
columns. Each kind is a plain convolution with a quarter of the kernel (Shi et al. 2016, "Is the deconvolution
layer the same as a convolutional layer?"). So it is for a convolution of an image whose pixels were repeated,
where weights that meet the same pixel are added beforehand: 3 by 3 takes less than half of the
multiplications then. Plain convolutions between many channels are what ONNX Runtime has its best kernels for on
x86, with a layout of channels of their own; pixels are interleaved outside of it, many channels at a time.

Shapes: N rows, H by W what is doubled, O output channels, I input channels, h by w a kernel.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.models.graph_shapes import Skeleton
from service.models.rewriting.editing import (
    has_graphs_inside,
    let_go_of_unused_weights,
    settings_of,
    weights_of,
)
from service.models.rewriting.phases import (
    Phase,
    kernel_of,
    pads_of,
    phases_of_repeated,
    phases_of_transposed,
)

_PREFIX = "forger_doubling/"
_BLOCK = 16
"""The kernels' layout is of blocks of so many channels; with others they are not used."""
_POINTWISE = frozenset({"BatchNormalization", "LeakyRelu", "Relu", "Sigmoid", "Tanh"})
"""What is done to each pixel alike, and may be part of a convolution."""
_REPEATING = frozenset({(b"asymmetric", b"floor"), (b"half_pixel", b"round_prefer_floor")})
"""Coordinates and their rounding by which a doubled image has each pixel twice."""


@dataclass(frozen=True)
class _Doubling:
    """A layer that doubles an image: what it doubles, and how."""

    source: str
    kernel_OIhw: NDArray[np.float32]
    bias: tuple[str, ...]
    rows: tuple[Phase, Phase]
    columns: tuple[Phase, Phase]


def with_doublings_in_phases(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with layers that double an image as four convolutions, whose pixels are interleaved.

    Images differ from the original graph's by float32's rounding. What is no such layer stays as it is, and
    so does every graph where the processor is no x86. Raises ``UnusableModel`` if the graph's shapes do not
    follow from its inputs'.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    doubles = {"ConvTranspose", "Resize"}.intersection(node.op_type for node in graph.node)
    if not doubles or has_graphs_inside(graph) or not _is_x86():
        return result
    rewriting = _Rewriting(model)
    nodes = [written for node in model.graph.node for written in rewriting.instead_of(node)]
    del graph.node[:]
    graph.node.extend(rewriting.needed(nodes))
    graph.initializer.extend(rewriting.weights)
    let_go_of_unused_weights(graph)
    return result


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


class _Rewriting:
    """What takes the place of a graph's nodes, asked for in their order."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.weights: list[TensorProto] = []
        """Those that are new."""
        self._shapes = {name: value.shape for name, value in Skeleton(model).values(1).items()}
        self._given = weights_of(model.graph)
        self._outputs = {value.name for value in model.graph.output}
        self._takers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._takers.setdefault(name, []).append(node)
        self._repeated = {
            node.output[0]: node.input[0] for node in model.graph.node if self._repeats_pixels(node)
        }
        self._made: set[str] = set()

    def instead_of(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Yield the nodes that take the place of one: itself, others, or none if it is among others'."""
        doubling = self._doubling(node)
        if doubling is None:
            if node.output[0] not in self._made:
                yield node
            return
        pointwise = list(self._pointwise_after(node.output[0]))
        made = (pointwise or [node])[-1].output[0]
        self._made.update(one.output[0] for one in pointwise)
        kinds: list[str] = []
        for row, column in product(range(2), range(2)):
            name = f"{_PREFIX}{made}/{row}{column}"
            rows, columns = doubling.rows[row], doubling.columns[column]
            kernel = self._weight(f"{name}/kernel", kernel_of(doubling.kernel_OIhw, rows, columns))
            inputs = [doubling.source, kernel, *doubling.bias]
            yield helper.make_node("Conv", inputs, [name], name, pads=pads_of(rows, columns))
            for one in pointwise:
                after = onnx.NodeProto()
                after.CopyFrom(one)
                after.input[0], after.output[0] = name, f"{name}/{one.op_type}"
                after.name = name = after.output[0]
                yield after
            kinds.append(name)
        yield from self._interleaved(kinds, made, doubling)

    def needed(self, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
        """Return the nodes without those that repeat pixels for nobody any more."""
        taken = {name for node in nodes for name in node.input} | self._outputs
        return [node for node in nodes if node.output[0] in taken or node.output[0] not in self._repeated]

    def _doubling(self, node: onnx.NodeProto) -> _Doubling | None:
        """Return what layer a node is, if it is one that doubles an image and is quicker as four."""
        tensor = self._given.get(node.input[1]) if node.op_type in ("Conv", "ConvTranspose") else None
        if tensor is None or node.domain or not _is_wide_kernel(tensor):
            return None
        is_transposed, size, given = node.op_type == "ConvTranspose", list(tensor.dims[2:]), settings_of(node)
        source = node.input[0] if is_transposed else self._repeated.get(node.input[0])
        if source is None or not self._doubles(source, node.output[0]):
            return None
        plain = {"group": 1, "dilations": [1, 1], "auto_pad": b"NOTSET", "kernel_shape": size}
        strides = given.get("strides", [1, 1])
        if strides != [2 if is_transposed else 1] * 2 or "output_shape" in given:
            return None
        if any(given.get(name, value) != value for name, value in plain.items()):
            return None
        phases_of = phases_of_transposed if is_transposed else phases_of_repeated
        pads = given.get("pads", [0] * 4)
        rows, columns = phases_of(size[0], pads[0]), phases_of(size[1], pads[1])
        if not all(phase.is_plain for phase in rows + columns):
            return None
        kernel = numpy_helper.to_array(tensor)
        kernel_OIhw = kernel.transpose(1, 0, 2, 3) if is_transposed else kernel
        return _Doubling(source, kernel_OIhw, tuple(node.input[2:]), rows, columns)

    def _repeats_pixels(self, node: onnx.NodeProto) -> bool:
        """Tell whether a node makes an image of twice the height and width, each pixel standing four times."""
        if node.op_type != "Resize" or node.domain:
            return False
        given = settings_of(node)
        how = given.get("coordinate_transformation_mode", b"half_pixel"), given.get("nearest_mode", b"round_prefer_floor")
        is_nearest = given.get("mode", b"nearest") == b"nearest" and how in _REPEATING
        before, after = self._shapes[node.input[0]], self._shapes[node.output[0]]
        return is_nearest and before[:2] == after[:2] and self._doubles(node.input[0], node.output[0])

    def _doubles(self, source: str, made: str) -> bool:
        before, after = self._shapes[source], self._shapes[made]
        return len(before) == len(after) == 4 and after[2:] == (2 * before[2], 2 * before[3])  # noqa: PLR2004 - N C H W

    def _pointwise_after(self, name: str) -> Iterator[onnx.NodeProto]:
        """Yield what is done to each pixel alike after a layer, as long as nobody wants what is before it."""
        while name not in self._outputs and len(takers := self._takers.get(name, [])) == 1:
            node = takers[0]
            if node.op_type not in _POINTWISE or node.domain or not self._given.keys() >= set(node.input[1:]):
                return
            yield node
            name = node.output[0]

    def _interleaved(self, kinds: list[str], made: str, doubling: _Doubling) -> Iterator[onnx.NodeProto]:
        """Yield what makes one image of its four kinds of pixels, moving all channels of a pixel at once."""
        _, _, height, width = self._shapes[doubling.source]
        channels = len(doubling.kernel_OIhw)
        name = f"{_PREFIX}{made}"
        apart = self._weight(f"{name}/apart", np.array([-1, height, width, 2, 2 * channels]))
        whole = self._weight(f"{name}/whole", np.array([-1, 2 * height, 2 * width, channels]))
        steps = [
            ("Concat", kinds, {"axis": 1}),
            ("Transpose", [], {"perm": [0, 2, 3, 1]}),
            ("Reshape", [apart], {}),
            ("Transpose", [], {"perm": [0, 1, 3, 2, 4]}),
            ("Reshape", [whole], {}),
            ("Transpose", [], {"perm": [0, 3, 1, 2]}),
        ]
        value: list[str] = []
        for number, (operator, inputs, settings) in enumerate(steps, 1):
            output = made if number == len(steps) else f"{name}/{number}"
            yield helper.make_node(operator, [*value, *inputs], [output], output, **settings)
            value = [output]

    def _weight(self, name: str, value: NDArray[np.float32 | np.int64]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _is_wide_kernel(tensor: TensorProto) -> bool:
    """Tell whether a tensor is a kernel between as many channels as quick kernels take."""
    if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 4:  # noqa: PLR2004 - two of channels, h, w
        return False
    return all(channels % _BLOCK == 0 for channels in tensor.dims[:2])
