"""Layers that double an image, written as four plain convolutions of what is doubled.

The pixels that a transposed convolution of stride 2 makes are of four kinds, by even and odd rows and
columns. Each kind is a plain convolution with a quarter of the kernel (Shi et al. 2016, "Is the deconvolution
layer the same as a convolutional layer?"). So it is for a convolution of an image whose pixels were repeated,
where weights that meet the same pixel are added beforehand: 3 by 3 takes less than half of the
multiplications then. Plain convolutions between many channels are what ONNX Runtime has its best kernels for
on x86, with a layout of their own; pixels are interleaved outside of it, all channels of one at a time.

Shapes: N rows, H by W what is doubled, O output channels, I input channels, h by w a kernel.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from service.models.rewriting.editing import Rewriting, is_operator, is_plain, pads_of, settings_of
from service.models.rewriting.phases import Phase, kernel_of, phases_of_repeated, phases_of_transposed

_BLOCK = 16
"""The kernels' layout is of blocks of so many channels; with others they are not used."""
_LEAST_SIZE = 2
"""Of a kernel: with a single weight there is nothing to be added, and four times nothing to be gained."""
_POINTWISE = ("BatchNormalization", "LeakyRelu", "Relu", "Sigmoid", "Tanh")
"""What is done to each pixel alike, and may be part of a convolution."""
_REPEATING = frozenset({(b"asymmetric", b"floor"), (b"half_pixel", b"round_prefer_floor")})
"""Coordinates and their rounding by which a doubled image has each pixel twice."""


def is_worthwhile() -> bool:
    """Tell whether this machine's kernels have a layout of their own."""
    return platform.machine().lower() in ("x86_64", "amd64")


@dataclass(frozen=True)
class _Doubling:
    """A layer that doubles an image: what it doubles, and how."""

    source: str
    kernel_OIhw: NDArray[np.float32]
    rows: tuple[Phase, Phase]
    columns: tuple[Phase, Phase]


class DoublingsInPhases(Rewriting):
    """Transposed convolutions of stride 2, and convolutions of repeated pixels, become four convolutions."""

    prefix = "forger_doubling/"

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self._repeated: dict[str, str] = {}
        """Images whose pixels were repeated, and what they were made of."""
        self._made: set[str] = set()
        """What was made before the node that made it."""

    def instead_of(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Return four convolutions and what interleaves them, with what is pointwise after a layer in it."""
        if self._repeats_pixels(node):
            self._repeated[node.output[0]] = node.input[0]
        doubling = self._doubling(node)
        if doubling is None:
            if node.output[0] not in self._made:
                yield node
            return
        pointwise = list(self._pointwise_after(node.output[0]))
        self._made.update(one.output[0] for one in pointwise)
        (made,) = (pointwise or [node])[-1].output
        kinds: list[str] = []
        for row, column in product(range(2), range(2)):
            rows, columns = doubling.rows[row], doubling.columns[column]
            name = f"{self.prefix}{made}/{row}{column}"
            kernel = self.add(f"{name}/kernel", kernel_of(doubling.kernel_OIhw, rows, columns))
            pads = [rows.before, columns.before, rows.after, columns.after]
            inputs = [doubling.source, kernel, *node.input[2:]]
            yield helper.make_node("Conv", inputs, [name], name, pads=pads)
            for one in pointwise:
                name, before = f"{name}/{one.op_type}", name
                yield _renamed(one, before, name)
            kinds.append(name)
        yield from self._interleaved(kinds, made, doubling)

    def _doubling(self, node: onnx.NodeProto) -> _Doubling | None:
        """Return what layer a node is, if it is one that doubles an image, and is quicker as four."""
        if not is_operator(node, "Conv", "ConvTranspose"):
            return None
        is_transposed, kernel = node.op_type == "ConvTranspose", self.kernel(node)
        source = node.input[0] if is_transposed else self._repeated.get(node.input[0])
        if kernel is None or source is None or any(channels % _BLOCK for channels in kernel.shape[:2]):
            return None
        height, width = kernel.shape[2:]
        stride = 2 if is_transposed else 1
        if min(height, width) < _LEAST_SIZE or not is_plain(node, (height, width), stride=stride):
            return None
        if not self._is_doubled(source, node.output[0]):
            return None
        phases_of = phases_of_transposed if is_transposed else phases_of_repeated
        above, left, *_ = pads_of(node)
        rows, columns = phases_of(height, above), phases_of(width, left)
        if not all(phase.is_plain for phase in rows + columns):
            return None
        return _Doubling(source, kernel.transpose(1, 0, 2, 3) if is_transposed else kernel, rows, columns)

    def _repeats_pixels(self, node: onnx.NodeProto) -> bool:
        """Tell whether a node makes an image of twice the height and width, each pixel four times."""
        if not is_operator(node, "Resize"):
            return False
        given = settings_of(node)
        coordinates = given.get("coordinate_transformation_mode", b"half_pixel")
        how = (coordinates, given.get("nearest_mode", b"round_prefer_floor"))
        is_nearest = given.get("mode", b"nearest") == b"nearest" and how in _REPEATING
        source, made = node.input[0], node.output[0]
        if not is_nearest or not self._is_doubled(source, made) or not self._has_whole_factors(node):
            return False
        return self.shapes[source][1] == self.shapes[made][1]

    def _has_whole_factors(self, node: onnx.NodeProto) -> bool:
        """Tell whether what makes an image twice as large scales it by two: four pixels by 2.2 are eight."""
        given = settings_of(node)
        scales = list(node.input[:3])[-1]  # in opset 10 the second input, and the third one later
        if not scales:  # its sizes are said
            return bool(given.get("keep_aspect_ratio_policy", b"stretch") == b"stretch")
        value = self.constant(scales)
        return "axes" not in given and value is not None and value.tolist() == [1, 1, 2, 2]

    def _is_doubled(self, source: str, made: str) -> bool:
        before, after = self.shapes.get(source, ()), self.shapes.get(made, ())
        return len(before) == len(after) == 4 and after[2:] == (2 * before[2], 2 * before[3])

    def _pointwise_after(self, name: str) -> Iterator[onnx.NodeProto]:
        """Yield what is done to each pixel alike after a layer, as long as nobody wants what is before it."""
        while name not in self.outputs and len(takers := self.takers(name)) == 1:
            node = takers[0]
            is_alone = len(node.output) == 1 and all(map(self.is_given, node.input[1:]))
            if not is_operator(node, *_POINTWISE) or not is_alone:
                return
            yield node
            name = node.output[0]

    def _interleaved(self, kinds: list[str], made: str, doubling: _Doubling) -> Iterator[onnx.NodeProto]:
        """Yield what makes one image of its four kinds of pixels.

        Channels go last, as the kernels' layout may be left that way; then rows beside the height; and back.
        """
        _, _, height, width = self.shapes[doubling.source]
        channels, name = len(doubling.kernel_OIhw), f"{self.prefix}{made}"
        apart = self.add(f"{name}/apart", np.array([-1, height, width, 2, 2 * channels]))
        whole = self.add(f"{name}/whole", np.array([-1, 2 * height, 2 * width, channels]))
        steps: list[tuple[str, list[str], dict[str, Any]]] = [
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


def _renamed(node: onnx.NodeProto, takes: str, makes: str) -> onnx.NodeProto:
    """Return a node that does the same to another value."""
    result = onnx.NodeProto()
    result.CopyFrom(node)
    result.input[0], result.output[0], result.name = takes, makes, makes
    return result
