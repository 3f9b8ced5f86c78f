"""How a class reaches a network: embeddings of class weights and the norms they steer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.errors import ConfigError
from training.networks.interface import GeneratorSpec


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift are linear in a condition (de Vries et al. 2017).

    With no condition they are one learned scale and shift, as in plain batch norm. ``norm`` may be
    replaced by another that has no weights of its own.
    """

    def __init__(self, channels: int, condition_dim: int | None) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(channels, affine=False)
        self.modulation = Modulation(channels, condition_dim)

    def forward(self, x_NCHW: Tensor, condition_NE: Tensor | None) -> Tensor:
        """Normalise each channel over the batch, then scale and shift it by the condition."""
        return self.modulation(self.norm(x_NCHW), condition_NE)


class Modulation(nn.Module):
    """A scale and a shift for each channel: x * (bias_s + W_s e) + (bias_t + W_t e)."""

    def __init__(self, channels: int, condition_dim: int | None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.channels = channels
        self.from_condition: nn.Linear | None = None
        if condition_dim is not None:
            self.from_condition = nn.Linear(condition_dim, 2 * channels, bias=False)

    def forward(self, x_NCHW: Tensor, condition_NE: Tensor | None) -> Tensor:
        """Apply the scale and shift that belong to each row's condition."""
        scale_NC, shift_NC = self.scale, self.shift
        if self.from_condition is not None and condition_NE is not None:
            scale_delta, shift_delta = self.from_condition(condition_NE).split(self.channels, dim=1)
            scale_NC, shift_NC = self.scale + scale_delta, self.shift + shift_delta
            return x_NCHW * scale_NC[:, :, None, None] + shift_NC[:, :, None, None]
        return x_NCHW * scale_NC[None, :, None, None] + shift_NC[None, :, None, None]

    @torch.no_grad()
    def absorb(self, mean_C: Tensor, variance_C: Tensor, eps: float) -> None:
        """Take a norm by constant statistics, without weights of its own, into scale and shift.

        (x - mu) / sigma * s + t = x * (s / sigma) + (t - mu s / sigma), linear in the condition too.
        """
        inverse = torch.rsqrt(variance_C.double() + eps)
        mean = mean_C.double()
        scale = self.scale.double() * inverse
        self.shift.copy_(self.shift.double() - mean * scale)
        self.scale.copy_(scale)
        if self.from_condition is not None:
            weight = self.from_condition.weight
            scale_rows = weight[: self.channels].double() * inverse[:, None]
            shift_rows = weight[self.channels :].double() - mean[:, None] * scale_rows
            weight.copy_(torch.cat([scale_rows, shift_rows]))


class ClassEmbedding(nn.Module):
    """The class weights' mixture of one learned vector a class: a matmul, so any mixture works."""

    def __init__(self, classes: int, embedding_dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(classes, embedding_dim))

    def forward(self, class_weights_NK: Tensor) -> Tensor:
        """Return the embedding of each row's class weights: ``[N, E]``."""
        return class_weights_NK @ self.vectors


def classes_of(spec: GeneratorSpec, family: str) -> int:
    """Return the number of classes; raises ``ConfigError`` for data that has none."""
    if spec.classes is None:
        raise ConfigError(
            f"the {family} family is about labels, and this data has none; take the recipe default"
        )
    return spec.classes


def required(class_weights_NK: Tensor | None) -> Tensor:
    """Return the class weights; raises ``ValueError`` if a conditional network was given none."""
    if class_weights_NK is None:
        raise ValueError("a conditional network needs class weights")
    return class_weights_NK
