"""Differentiable augmentation (Zhao et al. 2020): D sees every image, real or drawn, through it.

Shapes: N rows, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.part_config import Augmentation
from training.shards import Draws


def augment(images_NCHW: Tensor, config: Augmentation, draws: Draws) -> Tensor:
    """Return the images changed at random, each in its own way; gradients pass through.

    In the paper's order: colour first, then shifts, then what is blanked.
    """
    if config.flip:
        images_NCHW = flip(images_NCHW, draws)
    if config.colour:
        images_NCHW = recolour(images_NCHW, config.colour, draws)
    if config.translation:
        images_NCHW = translate(images_NCHW, config.translation, draws)
    if config.cutout:
        images_NCHW = cut_out(images_NCHW, config.cutout, draws)
    return images_NCHW


def flip(images_NCHW: Tensor, draws: Draws) -> Tensor:
    """Mirror each image left to right, or leave it, with even chances."""
    chance_N = draws.uniform(len(images_NCHW))
    return torch.where(chance_N[:, None, None, None] < 0.5, images_NCHW.flip(3), images_NCHW)


def recolour(images_NCHW: Tensor, strength: float, draws: Draws) -> Tensor:
    """Change brightness, saturation and contrast, in this order (Zhao et al. 2020, appendix C).

    At strength 1, levels from -1 to 1 move by up to 0.5, saturation is scaled by 0 to 2, contrast by 0.5 to
    1.5. Grey images have no saturation to change.
    """

    def chance() -> Tensor:
        """Return a number in (-0.5, 0.5) for each image."""
        return draws.uniform(len(images_NCHW), 1, 1, 1) - 0.5

    x = images_NCHW + strength * chance()
    if images_NCHW.shape[1] > 1:
        grey = x.mean(dim=1, keepdim=True)
        x = (x - grey) * (1.0 + 2.0 * strength * chance()) + grey
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - middle) * (1.0 + strength * chance()) + middle


def translate(images_NCHW: Tensor, share: float, draws: Draws) -> Tensor:
    """Shift each image by whole pixels, up to ``share`` of its edge; its border is repeated."""
    rows, channels, height, width = images_NCHW.shape
    margin_y, margin_x = int(height * share), int(width * share)
    if margin_y == margin_x == 0:
        return images_NCHW
    device = images_NCHW.device
    offset_y = draws.integers(2 * margin_y + 1, rows)
    offset_x = draws.integers(2 * margin_x + 1, rows)
    padded = functional.pad(images_NCHW, (margin_x, margin_x, margin_y, margin_y), mode="replicate")
    y_NH = offset_y[:, None] + torch.arange(height, device=device)
    x_NW = offset_x[:, None] + torch.arange(width, device=device)
    shifted = padded.gather(2, y_NH[:, None, :, None].expand(-1, channels, -1, padded.shape[3]))
    return shifted.gather(3, x_NW[:, None, None, :].expand(-1, channels, height, -1))


def cut_out(images_NCHW: Tensor, share: float, draws: Draws) -> Tensor:
    """Blank one rectangle of each image, ``share`` of its edges long, about a random centre."""
    rows, _, height, width = images_NCHW.shape
    device = images_NCHW.device
    centre_y = draws.integers(height, rows, 1)
    centre_x = draws.integers(width, rows, 1)
    inside_y = (torch.arange(height, device=device) - centre_y).abs() * 2 < height * share
    inside_x = (torch.arange(width, device=device) - centre_x).abs() * 2 < width * share
    blanked = inside_y[:, None, :, None] & inside_x[:, None, None, :]
    return images_NCHW.masked_fill(blanked, 0.0)
