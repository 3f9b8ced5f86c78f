"""Two generators with random weights, for benchmarks: what an image costs does not depend on what it shows.

``bench-mnist`` draws 28 x 28 grey images with a million weights, ``bench-dcgan64`` 64 x 64 colour images with
3.6 million: the generator of Radford et al. 2015. Their last layer is scaled so that pixels are spread
as a trained generator's are: a flat grey would compress to nothing.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from contract.layout import model_directories
from contract.manifest import DatasetFacts, ImageOutput, TrainingFacts
from training.export import ExportRequest, Finished, publish
from training.networks import Generator, GeneratorSpec
from training.provenance import begun_with

LATENT_DIM = 100
_SPREAD = 0.8
"""Standard deviation of the last layer's output, before tanh."""


class _Stack(Generator):
    """A generator that is a stack of layers behind a reshaped latent."""

    def __init__(self, layers: nn.Sequential, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers
        self.latent_shape = latent_shape

    def forward(self, latent_ND: Tensor, class_weights_NK: Tensor | None = None) -> Tensor:  # noqa: ARG002 - no classes
        """Draw an image for each latent."""
        drawn: Tensor = self.layers(latent_ND.reshape(-1, *self.latent_shape))
        return drawn


def _doubled(wide: int, narrow: int) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),
        nn.BatchNorm2d(narrow),
        nn.ReLU(),
    ]


def _mnist(dim: int) -> _Stack:
    layers = [
        nn.Linear(dim, 128 * 7 * 7, bias=False),
        nn.BatchNorm1d(128 * 7 * 7),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        *_doubled(128, 128),
        *_doubled(128, 64),
        nn.Conv2d(64, 1, 3, 1, 1),
        nn.Tanh(),
    ]
    return _Stack(nn.Sequential(*layers), (dim,))


def _dcgan64(dim: int) -> _Stack:
    layers = [
        nn.ConvTranspose2d(dim, 512, 4, 1, 0, bias=False),
        nn.BatchNorm2d(512),
        nn.ReLU(),
        *_doubled(512, 256),
        *_doubled(256, 128),
        *_doubled(128, 64),
        nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    ]
    return _Stack(nn.Sequential(*layers), (dim, 1, 1))


GENERATORS = {
    "bench-mnist": (_mnist, ImageOutput(height=28, width=28, channels=1)),
    "bench-dcgan64": (_dcgan64, ImageOutput(height=64, width=64, channels=3)),
}


@torch.no_grad()
def with_random_weights(generator: _Stack, dim: int) -> _Stack:
    """Draw DCGAN's first weights, take the batch norms' statistics, and spread the pixels."""
    for layer in generator.layers:
        if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            layer.momentum = None
    generator.train()
    for _ in range(4):
        generator(torch.randn(64, dim))
    generator.eval()
    *_, last, tanh = generator.layers
    assert isinstance(last, nn.Conv2d | nn.ConvTranspose2d)
    assert isinstance(tanh, nn.Tanh)
    before_tanh = generator.layers[:-1](torch.randn(256, dim).reshape(256, *generator.latent_shape))
    last.weight.mul_(_SPREAD / before_tanh.std())
    return generator


def make_models(folder: Path) -> dict[str, Path]:
    """Return the ONNX file of each generator by name, packaged as model directories in ``folder``.

    What is there stays: the directory of a model says all of it.
    """
    there = {entry.name: entry.generator for entry in model_directories(folder)} if folder.is_dir() else {}
    return {name: there.get(name) or make_model(folder, name) for name in GENERATORS}


def make_model(folder: Path, kind: str, name: str | None = None, dim: int = LATENT_DIM) -> Path:
    """Package one of the generators, under another name or with another latent; return its ONNX file."""
    torch.manual_seed(0)
    build, output = GENERATORS[kind]
    spec = GeneratorSpec(dim, None, output)
    finished = Finished(with_random_weights(build(dim), dim), spec, None, _facts(), evaluation=None)
    request = ExportRequest(name or kind, folder, "Random weights, for benchmarks.", "Apache-2.0")
    return publish(finished, request).generator


def _facts() -> TrainingFacts:
    begun = begun_with()
    nothing = DatasetFacts(name="none", digest="sha256:" + "0" * 64, images=0)
    return TrainingFacts(
        recipe="none",
        config={},
        dataset=nothing,
        steps=0,
        images_seen=0,
        seed=0,
        weights="raw",
        library_versions=begun.library_versions,
        source_commit=begun.source_commit,
        wall_time_s=0.0,
    )
