"""Every switch works on every recipe, or is refused with a sentence that says why."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.training.test_recipes import small
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.errors import ConfigError
from training.fold import folded
from training.recipe_config import override
from training.recipes import RECIPES
from training.run import RunDirectory
from training.state import State
from training.trainer import Trainer

MLP = ("gaussian-1d", "vanilla-shallow", "vanilla")
BATCH_NORM_IN_D = ("dcgan", "acgan", "wgan")
SPECTRAL = ("default", "sagan", "biggan")
PENALISED = ("wgan-gp", "r3gan")
NO_PROBABILITY = dict.fromkeys(("dcgan",), "target of a probability")
SAMPLES_TIED = dict.fromkeys(BATCH_NORM_IN_D, "batch norm ties the samples together")


@dataclass(frozen=True)
class Switch:
    """Settings that turn a part on, and what is said to the recipes that have no use for it."""

    settings: tuple[str, ...]
    refused: dict[str, str] = field(default_factory=dict)


SWITCHES = {
    "non-saturating": Switch(("loss=non-saturating",)),
    "minimax": Switch(("loss=minimax",)),
    "hinge": Switch(("loss=hinge",), NO_PROBABILITY),
    "least squares": Switch(("loss=least-squares",), NO_PROBABILITY),
    "relativistic": Switch(("loss=relativistic",), NO_PROBABILITY),
    "wasserstein": Switch(
        ("loss=wasserstein",),
        NO_PROBABILITY | dict.fromkeys((*MLP, "cgan", "acgan", "r3gan"), "cannot grow without bound"),
    ),
    "label smoothing": Switch(
        ("label_smoothing=0.1",),
        dict.fromkeys((*SPECTRAL, "wgan", *PENALISED), "moves the target of a probability"),
    ),
    "virtual batch norm": Switch(
        ("networks.virtual_batch_norm=4",), dict.fromkeys((*MLP, "r3gan"), "no batch norm that")
    ),
    "batches apart": Switch(("separate_batches=true",)),
    "batches together": Switch(("separate_batches=false",)),
    "several steps of D": Switch(("discriminator_steps=2",)),
    "noise from a sphere": Switch(("latent.prior=sphere",)),
    "instance noise": Switch(("instance_noise=0.2",)),
    "dropout in D": Switch(("networks.discriminator_dropout=0.4",)),
    "spectral norm": Switch(
        ("networks.spectral_norm=true",),
        {"r3gan": "blocks start at zero", "wgan": "divides the size of the weights out"},
    ),
    "R1": Switch(("penalties.r1=1",), SAMPLES_TIED),
    "R2": Switch(("penalties.r2=1",), SAMPLES_TIED),
    "gradient penalty": Switch(("penalties.gradient_penalty=10",), SAMPLES_TIED),
    "weight clipping": Switch(
        ("penalties.weight_clipping=0.01",),
        dict.fromkeys(PENALISED, "choose one")
        | dict.fromkeys(SPECTRAL, "divides the size of the weights out"),
    ),
    "orthogonal start": Switch(
        ("networks.initialisation=orthogonal",), {"r3gan": "blocks start as the identity"}
    ),
    "orthogonal penalty": Switch(("penalties.orthogonal=1e-4",)),
    "a ramp of the average": Switch(("averaging.ramp=0.5", "averaging.halflife_kimg=1")),
    "rates of their own that fall": Switch(
        ("discriminator_optimiser.learning_rate=1e-3", "learning_rate_decay=0.5")
    ),
    "minibatch spread": Switch(
        ("networks.minibatch_stddev=4",), dict.fromkeys(PENALISED, "spread ties the samples together")
    ),
    "shifts": Switch(("augmentation.translation=0.25",), {"gaussian-1d": "nothing for data of vectors"}),
    "cutout": Switch(("augmentation.cutout=0.5",), {"gaussian-1d": "nothing for data of vectors"}),
    "colour": Switch(("augmentation.colour=1",), {"gaussian-1d": "nothing for data of vectors"}),
    "flips": Switch(("augmentation.flip=true",), {"gaussian-1d": "nothing for data of vectors"}),
    "bf16": Switch(("precision=bf16",)),
}


@pytest.fixture(scope="module")
def data(cache: Path) -> dict[str, Dataset]:
    return {name: load_dataset(name, cache) for name in ("digits", "gaussian")}


def trainer(recipe: str, switch: Switch, data: dict[str, Dataset]) -> Trainer:
    """Return the recipe with the switch on, small and ready to play; nothing of it is written to disk."""
    dataset = data["gaussian" if recipe == "gaussian-1d" else "digits"]
    settings = ["batch_size=8", "total_kimg=0.064", *switch.settings]
    config = RunConfig(
        recipe=override(small(recipe), settings), data=dataset.name, dataset_digest=dataset.digest
    )
    return Trainer(config, dataset, RunDirectory(Path("nowhere")), torch.device("cpu"))


def tensors(state: State) -> list[torch.Tensor]:
    networks = (state.generator, state.averaged, state.discriminator)
    return [
        value.detach().clone()
        for network in networks
        for value in itertools.chain(network.parameters(), network.buffers())
    ]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_trains_and_resumes_exactly_or_says_why_not(
    name: str, recipe: str, data: dict[str, Dataset]
) -> None:
    """What it does to the generator folds away; that folded generators export, other tests show."""
    switch = SWITCHES[name]
    if recipe in switch.refused:
        with pytest.raises(ConfigError, match=switch.refused[recipe]):
            trainer(recipe, switch, data)
        return
    trained = trainer(recipe, switch, data)
    at_start = tensors(trained.state)
    trained.turn()
    saved = copy.deepcopy(trained.state.save())
    trained.turn()
    after = tensors(trained.state)
    assert all(torch.isfinite(value).all() for value in after)
    assert any(not torch.equal(old, new) for old, new in zip(at_start, after, strict=True))

    torch.manual_seed(999)
    again = trainer(recipe, switch, data)
    again.state.load(saved)
    again.turn()
    assert all(torch.equal(one, two) for one, two in zip(after, tensors(again.state), strict=True))

    if name not in ("virtual batch norm", "orthogonal start", "bf16"):
        return
    averaged = trained.state.averaged.eval()
    spec = trained.spec
    latent = torch.randn(5, spec.latent_dim)
    weights = None if spec.classes is None else torch.eye(spec.classes)[[0, 3, 1, 2, 2]]
    assert torch.allclose(folded(averaged)(latent, weights), averaged(latent, weights), atol=1e-5)


def test_under_bf16_the_penalties_on_gradients_are_computed_in_float32(data: dict[str, Dataset]) -> None:
    """The players' passes are in bf16; what the penalty is made of, differences of slopes, is not."""
    trained = trainer("wgan-gp", SWITCHES["bf16"], data)
    seen: list[tuple[bool, torch.dtype]] = []

    def watch(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen.append((inputs[0].requires_grad, output.dtype))

    first = next(module for module in trained.state.discriminator.modules() if not list(module.children()))
    first.register_forward_hook(watch)
    trained.game.discriminator_step()
    assert (True, torch.float32) in seen, "at places between the samples, where the slope is taken"
    assert (False, torch.bfloat16) in seen, "at the samples themselves"
    assert len(seen) == 2
