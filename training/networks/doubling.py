"""The last doubling of a generator: a transposed convolution that leaves an image.

Shapes: N rows, C channels, H W places; O channels of the image.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_KERNEL, _STRIDE, _PADDING = 4, 2, 1


class DoublingToImage(nn.ConvTranspose2d):
    """Transposed convolution, 4 x 4 with stride 2.

    On CPUs the library's own is slow where a single channel is left. While training, grey images are made
    there by the same sums in another form, which saves a step a twentieth of its time: each place is mapped
    to its 4 x 4 pixels by one matrix product, and these are laid over one another. Drawing and export keep to
    the one operator.
    """

    def __init__(self, channels: int, image_channels: int) -> None:
        super().__init__(channels, image_channels, _KERNEL, stride=_STRIDE, padding=_PADDING)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002 - torch's name
        """Map ``[N, C, H, W]`` to ``[N, O, 2H, 2W]``."""
        if not self.training or self.out_channels > 1 or input.device.type != "cpu":
            return super().forward(input, output_size)
        rows, channels, height, width = input.shape
        places_NPC = input.permute(0, 2, 3, 1).reshape(rows, height * width, channels)
        patches_NPK = places_NPC @ self.weight.reshape(channels, _KERNEL * _KERNEL)
        size = (_STRIDE * height, _STRIDE * width)
        image = functional.fold(patches_NPK.transpose(1, 2), size, _KERNEL, stride=_STRIDE, padding=_PADDING)
        assert self.bias is not None, "made with one"
        return image + self.bias[:, None, None]
