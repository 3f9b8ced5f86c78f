"""Losses and penalties are what their papers say they are; contradictions are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from contract.manifest import ImageOutput
from training.config import RunConfig
from training.data import load_dataset
from training.ema import update_average
from training.errors import ConfigError
from training.game import class_loss
from training.losses import CrossEntropy, LeastSquares, Minimax, NonSaturating, Wasserstein, build_loss
from training.networks import GeneratorSpec, build_networks
from training.networks.interface import Verdict
from training.penalties import clip_weights, gradient_penalty, orthogonal_penalty, squared_gradient
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.shards import Draws, Shard
from training.trainer import Trainer

REAL = torch.tensor([2.0, -0.5, 0.1])
FAKE = torch.tensor([-1.0, 0.3, 4.0])


def value(scalar: torch.Tensor) -> float:
    return float(scalar.detach())


def bernoulli(scores: torch.Tensor, target: float) -> float:
    """The cross-entropy of a probability with a target, by torch's own function."""
    return float(nn.functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_smoothing_moves_the_target_of_real_samples_alone(smoothing: float) -> None:
    expected = bernoulli(REAL, 1 - smoothing) + bernoulli(FAKE, 0.0)
    assert float(CrossEntropy(smoothing).discriminator(REAL, FAKE)) == pytest.approx(expected, abs=1e-6)


def test_both_cross_entropy_games_share_their_judge_and_differ_in_their_forger() -> None:
    assert float(NonSaturating().generator(FAKE)) == pytest.approx(bernoulli(FAKE, 1.0), abs=1e-6)
    assert float(Minimax().generator(FAKE)) == pytest.approx(-bernoulli(FAKE, 0.0), abs=1e-6)
    sure = torch.tensor([-12.0], requires_grad=True)
    for loss, steep in ((NonSaturating(), True), (Minimax(), False)):
        [slope] = torch.autograd.grad(loss.generator(sure), sure)
        assert (abs(float(slope)) > 0.5) == steep, "minimax saturates where the judge is sure"


def test_the_critics_difference_and_the_squares() -> None:
    assert float(Wasserstein().discriminator(REAL, FAKE)) == pytest.approx(float(FAKE.mean() - REAL.mean()))
    assert float(Wasserstein().generator(FAKE)) == pytest.approx(-float(FAKE.mean()))
    squares = 0.5 * ((REAL - 1) ** 2).mean() + 0.5 * (FAKE**2).mean()
    assert float(LeastSquares().discriminator(REAL, FAKE)) == pytest.approx(float(squares))
    assert float(LeastSquares().generator(torch.ones(3))) == 0


@pytest.mark.parametrize(
    "name", ["hinge", "non-saturating", "minimax", "wasserstein", "least-squares", "relativistic"]
)
def test_every_game_draws_its_players_apart(name: str) -> None:
    """The judge gains by scoring real samples higher and drawn ones lower, the forger by the opposite."""
    loss = build_loss(name)
    real, fake = torch.tensor([0.2], requires_grad=True), torch.tensor([0.1], requires_grad=True)
    of_real, of_fake = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    [of_forger] = torch.autograd.grad(loss.generator(fake, lambda: real), fake)
    assert of_real < 0 < of_fake
    assert of_forger < 0


def test_the_slope_of_a_linear_critic_is_known() -> None:
    """D(x) = w·x has the gradient w everywhere, so that each penalty is a number on paper."""
    weights = torch.tensor([3.0, 4.0])
    real, fake = torch.randn(6, 2), torch.randn(6, 2)
    draws = Draws(torch.Generator().manual_seed(0))
    assert value(gradient_penalty(lambda x: x @ weights, real, fake, draws)) == pytest.approx((5 - 1) ** 2)
    assert value(squared_gradient(lambda x: x @ weights, real)) == pytest.approx(25 / 2)


def test_the_gradient_penalty_looks_between_the_samples() -> None:
    """D(x) = x² has the slope 2x: at places between 0 and 1 its size is spread over (0, 2)."""
    real, fake = torch.ones(4000, 1), torch.zeros(4000, 1)
    draws = Draws(torch.Generator().manual_seed(0))
    penalty = gradient_penalty(lambda x: x.square().sum(dim=1), real, fake, draws)
    assert value(penalty) == pytest.approx(1 / 3, abs=0.02), "the mean of (2t - 1)² over t in (0, 1)"


def test_penalties_reach_the_critics_weights() -> None:
    critic = nn.Linear(2, 1)
    penalty = squared_gradient(lambda x: critic(x).squeeze(1), torch.randn(4, 2))
    [slope] = torch.autograd.grad(penalty, critic.weight)
    assert torch.allclose(slope, critic.weight)


def test_clipped_weights_stay_in_their_bounds() -> None:
    critic = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 1))
    with torch.no_grad():
        critic[0].weight.fill_(3.0)
    clip_weights(critic, 0.01)
    assert max(value(weights.abs().max()) for weights in critic.parameters()) == pytest.approx(0.01)


def test_orthogonal_rows_cost_nothing_whatever_their_length() -> None:
    network = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.diag(torch.tensor([5.0, 1.0, 0.2])))
    assert value(orthogonal_penalty(network)) == 0
    with torch.no_grad():
        network.weight[0] = network.weight[1]
    assert value(orthogonal_penalty(network)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("recipe", "settings", "reason"),
    [
        ("default", ["label_smoothing=0.1"], "hinge loss has none"),
        ("wgan", ["penalties.weight_clipping=null"], "grow without bound"),
        (
            "wgan",
            ["penalties.weight_clipping=null", "penalties.gradient_penalty=10"],
            "ties the samples together",
        ),
        ("wgan-gp", ["networks.discriminator_norm=batch"], "ties the samples together"),
        ("wgan-gp", ["penalties.weight_clipping=0.01"], "choose one"),
        ("default", ["accumulation=3"], "no 3 equal pieces"),
        ("wgan-gp", ["networks.minibatch_stddev=4"], "spread ties the samples together"),
        ("default", ["networks.minibatch_stddev=1"], "group of one row"),
        ("default", ["networks.minibatch_stddev=5"], "multiple of 5"),
        ("cgan", ["networks.generator_norm=none", "networks.virtual_batch_norm=8"], "no batch norm"),
        ("cgan", ["networks.generator_dropout=0.5", "networks.virtual_batch_norm=8"], "change at every step"),
        ("default", ["networks.virtual_batch_norm=1"], "reference batch of one row"),
        ("default", ["penalties.weight_clipping=0.01"], "divides the size of the weights out"),
        ("default", ["networks.spectral_norm=false", "loss=wasserstein"], "grow without bound"),
        ("default", ["latent.prior=sphere", "latent.dim=1"], "two points"),
        ("vanilla", ["conditional=true"], "no use of labels"),
        ("cgan", ["conditional=false"], "about the label"),
        ("dcgan", ["label_smoothing=0.5"], "less than 0.5"),
        ("default", ["class_loss=1"], "tell classes"),
        ("acgan", ["class_loss=0"], "tell classes"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    recipe: str, settings: list[str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        override(recipe_named(recipe), settings)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("default", ["penalties.r1=1", "penalties.r2=1"]),
        ("default", ["loss=wasserstein"]),
        ("default", ["loss=least-squares", "instance_noise=0.1", "latent.prior=sphere"]),
        ("dcgan", ["loss=minimax", "discriminator_steps=3", "separate_batches=false"]),
        (
            "dcgan",
            [
                "networks.spectral_norm=true",
                "networks.discriminator_norm=none",
                "loss=wasserstein",
                "label_smoothing=0",
            ],
        ),
        (
            "vanilla",
            ["label_smoothing=0.2", 'generator_optimiser={"kind": "rmsprop", "learning_rate": 1e-4}'],
        ),
    ],
)
def test_switches_work_on_recipes_where_they_make_sense(recipe: str, settings: list[str]) -> None:
    changed = override(recipe_named(recipe), settings)
    assert changed != recipe_named(recipe)


def test_a_configuration_from_before_there_was_a_choice_of_optimisers_is_read() -> None:
    document = recipe_named("default").model_dump(mode="json")
    for player in ("generator_optimiser", "discriminator_optimiser"):
        del document[player]["kind"]
    assert type(recipe_named("default")).model_validate(document) == recipe_named("default")


def test_the_class_head_is_taught_the_label_or_that_there_is_none() -> None:
    """Odena et al. 2017, equation 3; with a class of its own for drawn samples, D is taught that one."""
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.1, 0.3]])
    labels = torch.eye(3)[[0, 2]]
    plain = nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    for drawn in (False, True):
        assert value(class_loss(Verdict(REAL, logits), labels, drawn=drawn)) == pytest.approx(float(plain))
    two = torch.eye(2)[[0, 1]]
    as_label = nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    as_fake = nn.functional.cross_entropy(logits, torch.tensor([2, 2]))
    assert value(class_loss(Verdict(REAL, logits), two)) == pytest.approx(float(as_label))
    assert value(class_loss(Verdict(REAL, logits), two, drawn=True)) == pytest.approx(float(as_fake))


def test_a_mixture_of_classes_is_a_mixture_of_targets() -> None:
    logits, weights = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.25, 0.75]])
    expected = -(weights * torch.log_softmax(logits, dim=1)).sum()
    assert value(class_loss(Verdict(REAL, logits), weights)) == pytest.approx(float(expected))


def test_the_relativistic_game_compares_sample_by_sample() -> None:
    loss = build_loss("relativistic")
    expected = nn.functional.softplus(FAKE - REAL).mean()
    assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(float(expected))
    expected = nn.functional.softplus(REAL - FAKE).mean()
    assert float(loss.generator(FAKE, lambda: REAL)) == pytest.approx(float(expected))
    shifted = loss.discriminator(REAL + 7, FAKE + 7)
    assert float(shifted) == pytest.approx(float(loss.discriminator(REAL, FAKE)), abs=1e-5)


def test_averages_keep_the_length_of_singular_vectors() -> None:
    """An average of unit vectors is shorter, and the weight would come out larger by as much."""
    settings = ["networks.generator_channels=4", "latent.dim=8"]
    recipe = override(recipe_named("sagan"), settings)
    spec = GeneratorSpec(8, 3, ImageOutput(height=8, width=8, channels=1))
    network, averaged = (build_networks(recipe.networks, spec).generator for _ in range(2))
    update_average(averaged, network, 0.5)
    vectors = [(name, buffer) for name, buffer in averaged.named_buffers() if name.endswith(("._u", "._v"))]
    assert len(vectors) > 10
    assert all(value(buffer.norm()) == pytest.approx(1, abs=1e-4) for _, buffer in vectors)


def test_penalties_are_in_float32_though_the_networks_run_in_bf16(tmp_path: Path, cache: Path) -> None:
    """The same D at the same samples: its penalty to the last bit, its verdict in bf16's few digits."""
    dataset = load_dataset("digits", cache)
    settings = ["networks.generator_channels=4", "networks.discriminator_channels=4", "batch_size=8"]
    penalties, scores = [], []
    for precision in ("float32", "bf16"):
        recipe = override(recipe_named("r3gan"), [*settings, f"precision={precision}"])
        config = RunConfig(recipe=recipe, data="digits", dataset_digest=dataset.digest)
        trainer = Trainer(config, dataset, RunDirectory(tmp_path / precision), torch.device("cpu"))
        discriminator, random = trainer.state.discriminator, torch.Generator().manual_seed(1)
        with torch.no_grad():  # blocks start as the identity, whose slope has few digits to lose
            for one in discriminator.parameters():
                one.add_(torch.randn(one.shape, generator=random), alpha=0.1)
            real, weights = trainer.batches.at(0, Shard(8))
            scores.append(trainer.game._judge(real, weights).scores)
        penalties.append(value(trainer.game._gradient_penalties(real, weights, real.flip(0), weights)))
        trainer.turn()
        assert trainer.state.figures.finite()
        assert {one.dtype for one in discriminator.parameters()} == {torch.float32}
    assert penalties[0] == penalties[1] > 0
    assert 1e-4 < value((scores[0] - scores[1]).abs().max() / scores[0].abs().max()) < 0.1
