"""Transposed convolutions of a single pixel, as many generators begin with, written as matrix products.

Of one pixel a transposed convolution makes its kernel, each channel's part weighed by the pixel's: a product
of a vector and a matrix. ONNX Runtime computes it for one row after another; in a matrix product all rows of
a run share the weights that are read.

Shapes: O output channels, I input channels, h by w the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper

from service.models.rewriting.editing import Rewriting, is_operator, is_plain, pads_of, settings_of


class SinglePixelsAsProducts(Rewriting):
    """Transposed convolutions of images of one pixel become matrix products."""

    prefix = "forger_single/"

    def instead_of(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Return the product in the place of a transposed convolution of one pixel."""
        kernel_IOhw = self.kernel(node) if is_operator(node, "ConvTranspose") else None
        if kernel_IOhw is None or not self._is_of_one_pixel(node, kernel_IOhw.shape[2:]):
            yield node
            return
        (made,), (inputs, outputs, *size) = node.output, kernel_IOhw.shape
        name = f"{self.prefix}{made}"
        factors = [f"{name}/row", self.add(f"{name}/weights", kernel_IOhw.reshape(inputs, -1))]
        if len(node.input) > 2:
            bias = np.repeat(self.given(node.input[2]), np.prod(size))
            factors.append(self.add(f"{name}/bias", bias))
        shape = self.add(f"{name}/shape", np.array([-1, outputs, *size]))
        yield helper.make_node("Flatten", [node.input[0]], factors[:1], factors[0], axis=1)
        yield helper.make_node("Gemm", factors, [f"{name}/product"], f"{name}/product")
        yield helper.make_node("Reshape", [f"{name}/product", shape], [made], node.name)

    def _is_of_one_pixel(self, node: onnx.NodeProto, size: tuple[int, ...]) -> bool:
        if not is_plain(node, size, stride=None) or self.shapes.get(node.input[0], ())[2:] != (1, 1):
            return False
        is_whole = not any(pads_of(node)) and not any(settings_of(node).get("output_padding", []))
        return is_whole and all(map(self.is_given, node.input[2:]))
