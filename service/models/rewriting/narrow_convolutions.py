"""Convolutions to a few channels, as most generators end with, written so that a processor is quick at them.

ONNX Runtime computes a convolution's output channels in blocks of eight or sixteen, asked for or not: one to
a single channel takes as long as one to sixteen. Its transposed convolution is a matrix product of as many
rows as are needed, and a sum of shifted images. With stride 1 the two are the same function, the kernel
turned by half a circle (Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", 4.1),
and this one takes a third to a sixth of the time.

Shapes: O output channels, I input channels, h by w the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper

from service.models.rewriting.editing import Rewriting, is_operator, is_plain, pads_of

_MOST_OUTPUTS = 4
_LEAST_INPUTS = 8


class NarrowConvolutionsTransposed(Rewriting):
    """Convolutions of stride 1 to a few channels become transposed ones."""

    prefix = "forger_narrow/"

    def instead_of(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Return the transposed convolution in the place of a narrow one."""
        kernel_OIhw = self.kernel(node) if is_operator(node, "Conv") else None
        if kernel_OIhw is None:
            yield node
            return
        outputs, inputs, *size = kernel_OIhw.shape
        cut = [most - 1 - pad for most, pad in zip(size * 2, pads_of(node), strict=True)]
        is_narrow = outputs <= _MOST_OUTPUTS and inputs >= _LEAST_INPUTS
        if not is_narrow or not is_plain(node, size, stride=1) or min(cut) < 0:
            yield node
            return
        (made,) = node.output
        turned = self.add(f"{self.prefix}{made}", kernel_OIhw.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        taken = [node.input[0], turned, *node.input[2:]]
        yield helper.make_node("ConvTranspose", taken, [made], node.name, kernel_shape=size, pads=cut)
