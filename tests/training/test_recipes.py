"""Every recipe trains on real data, resumes exactly, exports through the parity gate, and is served."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.manifest import ImageOutput
from tests.fakes.site import local_service
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.export import ExportRequest, export
from training.export.graph import onnx_runner, to_onnx
from training.networks import GeneratorSpec, build_networks
from training.recipe_config import Recipe, override
from training.recipes import RECIPES, recipe_named
from training.run import RunDirectory
from training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {
    "mlp": ["networks.generator_hidden=[16]", "networks.discriminator_hidden=[16]"],
    "cgan": ["networks.generator_joined=24", "networks.discriminator_joined=12"],
    "dcgan": ["networks.generator_channels=4", "networks.discriminator_channels=4"],
    "acgan": ["networks.generator_channels=4", "networks.discriminator_channels=4"],
    "r3gan": ["networks.generator_channels=4", "networks.discriminator_channels=4"],
    "resnet": ["networks.generator_channels=4", "networks.discriminator_channels=4"],
}
PAPER_SIZES = [
    ("dcgan", 64),
    ("wgan-gp", 64),
    ("sagan", 128),
    ("biggan", 128),
    ("default", 256),
    ("r3gan", 256),
]


def small(name: str, kimg: float = 0.192) -> Recipe:
    """Return the recipe at a size for tests, true to itself in everything else."""
    recipe = recipe_named(name)
    settings = SMALL[recipe.networks.family]
    return override(recipe, [*settings, "batch_size=16", f"total_kimg={kimg}", "latent.dim=8"])


def trainer(path: Path, recipe: Recipe, dataset: Dataset) -> Trainer:
    config = RunConfig(
        recipe=recipe, data=dataset.name, dataset_digest=dataset.digest, log_every_kimg=0.032,
        checkpoint_every_kimg=0.08,
    )  # fmt: skip
    run = RunDirectory(path)
    run.create(config)
    return Trainer(config, dataset, run, CPU)


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


@pytest.fixture(scope="module")
def numbers(cache: Path) -> Dataset:
    return load_dataset("gaussian", cache)


@pytest.mark.parametrize("name", RECIPES)
def test_from_training_to_a_served_model(
    name: str, digits: Dataset, numbers: Dataset, tmp_path: Path
) -> None:
    dataset = numbers if name == "gaussian-1d" else digits
    trained = trainer(tmp_path / "run", small(name), dataset)
    before = torch.cat([value.flatten() for value in trained.state.generator.parameters()]).clone()
    trained.train()
    after = torch.cat([value.flatten() for value in trained.state.generator.parameters()])
    assert torch.isfinite(after).all()
    assert (before != after).any()
    export(trained, dataset, None, ExportRequest("small", tmp_path / "models", "A test.", "Apache-2.0"))
    with local_service(tmp_path / "models") as service:
        described = service.get("/models/small").json()
        assert described["training"]["recipe"] == name
        assert (described["classes"] is not None) == trained.recipe.conditional
        drawn = np.load(io.BytesIO(service.generate({"n": 5, "seed": 1}, accept="application/x-npy").content))
        assert drawn.shape == (5, *described["output"]["shape"])
        assert len({row.tobytes() for row in drawn}) == 5


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_resumes_exactly(name: str, digits: Dataset, numbers: Dataset, tmp_path: Path) -> None:
    """Whatever its parts keep to themselves: optimisers, norms, dropout, places between samples."""
    dataset = numbers if name == "gaussian-1d" else digits
    recipe = small(name, kimg=0.24)
    whole = trainer(tmp_path / "whole", recipe, dataset)
    whole.train()
    stopped = trainer(tmp_path / "stopped", recipe, dataset)
    turn = stopped.turn

    def until() -> None:
        if stopped.state.images_seen >= 160:
            raise SystemExit
        turn()

    stopped.turn = until
    with pytest.raises(SystemExit):
        stopped.train()
    torch.manual_seed(999)
    again = Trainer(stopped.config, dataset, stopped.run, CPU)
    again.saves.resume()
    assert 0 < again.state.images_seen <= 160
    again.train()
    for network in ("generator", "averaged", "discriminator"):
        expected, got = (getattr(one.state, network).state_dict() for one in (whole, again))
        assert all(torch.equal(expected[key], got[key]) for key in expected), network
    optimisers = [one.state.discriminator_optimiser.state_dict() for one in (whole, again)]
    assert str(optimisers[0]) == str(optimisers[1])


@pytest.mark.parametrize(("name", "edge"), PAPER_SIZES)
def test_the_papers_sizes_are_built_and_exported(name: str, edge: int) -> None:
    """Too large to train here, they still run as torch and as ONNX."""
    narrow = ["networks.generator_channels=8", "networks.discriminator_channels=8"]
    recipe = override(recipe_named(name), narrow)
    classes = 3 if recipe.conditional else None
    output = ImageOutput(height=edge, width=edge, channels=3)
    spec = GeneratorSpec(recipe.latent.dim, classes, output)
    pair = build_networks(recipe.networks, spec)
    weights = None if classes is None else torch.eye(classes)[:2]
    samples = pair.generator(torch.randn(2, recipe.latent.dim), weights)
    assert samples.shape == (2, 3, edge, edge)
    assert pair.discriminator(samples, weights).scores.shape == (2,)
    runner = onnx_runner(to_onnx(pair.generator, spec, {}), spec)
    weights_33 = None if classes is None else np.eye(3, dtype=np.float32)
    drawn = runner(np.zeros((3, recipe.latent.dim), np.float32), weights_33)
    assert drawn.shape == (3, 3, edge, edge)
