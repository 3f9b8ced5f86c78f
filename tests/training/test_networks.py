"""The networks keep their shapes for every kind of data, use their classes, and fold exactly."""

from __future__ import annotations

import itertools

import pytest
import torch

from contract.latents import Prior
from contract.manifest import ImageOutput, VectorOutput
from training.errors import ConfigError
from training.fold import folded
from training.networks import GeneratorSpec, build_networks
from training.networks.conditioning import ConditionalBatchNorm
from training.networks.doubling import DoublingToImage
from training.networks.geometry import halvings
from training.networks.minibatch import MinibatchStddev
from training.networks.virtual_batch import ReferencedGenerator, VirtualBatchNorm
from training.part_config import (
    AcganNetworks,
    CganNetworks,
    DcganNetworks,
    MlpNetworks,
    Networks,
    R3ganNetworks,
    ResnetNetworks,
)

RESNET = ResnetNetworks(generator_channels=4, discriminator_channels=4, embedding_dim=6)
ATTENTIVE = ResnetNetworks(
    generator_channels=4,
    discriminator_channels=4,
    embedding_dim=6,
    attention_edge=16,
    generator_spectral_norm=True,
    latent_split=True,
    initialisation="orthogonal",
)
MLP = MlpNetworks(
    generator_hidden=(9, 7),
    discriminator_hidden=(7,),
    generator_activation="leaky_relu",
    discriminator_activation="sigmoid",
    discriminator_dropout=0.1,
)
GREY = ImageOutput(height=28, width=28, channels=1)
COLOUR = ImageOutput(height=12, width=20, channels=3)
CASES = [
    (RESNET, GREY, 10),
    (RESNET, COLOUR, None),
    (RESNET, ImageOutput(height=8, width=8, channels=1), 3),
    (RESNET, ImageOutput(height=64, width=64, channels=3), 2),
    (ATTENTIVE, GREY, 10),
    (ATTENTIVE, COLOUR, None),
    (ATTENTIVE, ImageOutput(height=9, width=7, channels=3), 2),
    (DcganNetworks(generator_channels=4, discriminator_channels=4), GREY, None),
    (DcganNetworks(discriminator_norm="layer", spectral_norm=True), COLOUR, None),
    (DcganNetworks(generator_channels=4, discriminator_norm="none", spectral_norm=True), GREY, 10),
    (DcganNetworks(generator_channels=4, embedding_dim=6), ImageOutput(height=9, width=7, channels=3), 2),
    (DcganNetworks(generator_channels=4, virtual_batch_norm=4, minibatch_stddev=2), COLOUR, 3),
    (DcganNetworks(generator_channels=4), ImageOutput(height=9, width=7, channels=3), None),
    (AcganNetworks(generator_channels=4, discriminator_channels=4), GREY, 10),
    (AcganNetworks(generator_channels=4, fake_class=True), COLOUR, 3),
    (CganNetworks(generator_joined=9, discriminator_joined=5), COLOUR, 3),
    (R3ganNetworks(generator_channels=4, discriminator_channels=4), GREY, 10),
    (R3ganNetworks(generator_channels=4, blocks=2), COLOUR, None),
    (RESNET.model_copy(update={"virtual_batch_norm": 6, "discriminator_dropout": 0.2}), GREY, 10),
    (ATTENTIVE.model_copy(update={"virtual_batch_norm": 3, "minibatch_stddev": 2}), COLOUR, None),
    (DcganNetworks(generator_channels=4, virtual_batch_norm=5, minibatch_stddev=3), GREY, None),
    (AcganNetworks(generator_channels=4, virtual_batch_norm=2, spectral_norm=True), COLOUR, 3),
    (R3ganNetworks(generator_channels=4, discriminator_dropout=0.2, minibatch_stddev=2), GREY, 10),
    (MLP.model_copy(update={"spectral_norm": True, "initialisation": "he"}), GREY, None),
    (CganNetworks(generator_norm="none", generator_dropout=0.5), COLOUR, 3),
    (CganNetworks(virtual_batch_norm=7), COLOUR, 3),
    (CganNetworks(spectral_norm=True, minibatch_stddev=3, initialisation="orthogonal"), GREY, 4),
    (MLP, COLOUR, None),
    (MLP, VectorOutput(size=1), None),
]


def _weights(rows: int, classes: int | None) -> torch.Tensor | None:
    return None if classes is None else torch.eye(classes)[torch.arange(rows) % classes]


@pytest.mark.parametrize(("config", "output", "classes"), CASES)
def test_players_fit_the_data(
    config: Networks, output: ImageOutput | VectorOutput, classes: int | None
) -> None:
    pair = build_networks(config, GeneratorSpec(5, classes, output))
    weights = _weights(3, classes)
    samples = pair.generator(torch.randn(3, 5), weights)
    if isinstance(output, ImageOutput):
        assert samples.shape == (3, output.channels, output.height, output.width)
        assert samples.abs().max() <= 1
    else:
        assert samples.shape == (3, output.size)
    assert pair.discriminator(samples, weights).scores.shape == (3,)


@pytest.mark.parametrize(("config", "output", "classes"), CASES)
def test_folding_changes_nothing_but_rounding(
    config: Networks, output: ImageOutput | VectorOutput, classes: int | None
) -> None:
    """Running statistics far from (0, 1) and modulations far from (1, 0), or the fold would prove nothing."""
    generator = build_networks(config, GeneratorSpec(5, classes, output)).generator
    with torch.no_grad():
        for value in itertools.chain(generator.parameters(), generator.buffers()):
            if value.is_floating_point():
                value.add_(torch.rand_like(value) * 0.3)
    latent, weights = torch.randn(4, 5), _weights(4, classes)
    before = generator.eval()(latent, weights)
    result = folded(generator)
    assert torch.allclose(result(latent, weights), before, atol=1e-5)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in result.modules())
    assert not result.training
    assert torch.equal(generator(latent, weights), before), "the original goes on as it was"
    assert generator.train()(latent, weights).requires_grad


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_the_class_matters_to_both_players(player: str) -> None:
    pair = build_networks(RESNET, GeneratorSpec(5, 10, GREY))
    one, two = torch.eye(10)[[3]], torch.eye(10)[[7]]
    network = getattr(pair, player).eval()
    seen = torch.randn(1, 5) if player == "generator" else torch.randn(1, 1, 28, 28)
    if player == "discriminator":
        assert not torch.allclose(network(seen, one).scores, network(seen, two).scores)
    else:
        assert not torch.allclose(network(seen, one), network(seen, two))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_conditional_network_without_a_class_is_our_own_bug(player: str) -> None:
    pair = build_networks(RESNET, GeneratorSpec(5, 10, GREY))
    seen = torch.randn(2, 5) if player == "generator" else torch.randn(2, 1, 28, 28)
    with pytest.raises(ValueError, match="class weights"):
        getattr(pair, player)(seen)


def test_an_untrained_cgan_varies_its_draws_within_a_class() -> None:
    """Batch norm is there for that: without it the noise is next to nothing, and a class is one image."""
    moved = {}
    for norm in ("batch", "none"):
        generator = build_networks(CganNetworks(generator_norm=norm), GeneratorSpec(100, 10, GREY)).generator
        with torch.no_grad():
            drawn = generator(torch.rand(200, 100) * 2 - 1, torch.eye(10)[[3]].expand(200, -1))
        moved[norm] = float(drawn.std(dim=0).mean())
    assert moved["batch"] > 0.05
    assert moved["none"] < 0.02


def test_a_mixture_is_the_mixture_of_the_embeddings() -> None:
    generator = build_networks(RESNET, GeneratorSpec(5, 4, GREY)).generator
    embedding = generator.embedding
    mixed = embedding(torch.tensor([[0.25, 0.0, 0.75, 0.0]]))
    assert torch.allclose(mixed[0], 0.25 * embedding.vectors[0] + 0.75 * embedding.vectors[2])


def test_conditional_norm_normalises_then_scales_and_shifts_by_the_condition() -> None:
    norm = ConditionalBatchNorm(2, 1)
    with torch.no_grad():
        norm.modulation.from_condition.weight.copy_(torch.tensor([[1.0], [0.0], [0.0], [5.0]]))
    out = norm(torch.randn(64, 2, 4, 4) * 9 + 3, torch.ones(64, 1))
    assert out.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 5], abs=1e-4)
    assert out.std(dim=(0, 2, 3)).tolist() == pytest.approx([2, 1], abs=1e-2)


def test_the_discriminator_is_bounded_by_its_spectral_norms() -> None:
    discriminator = build_networks(RESNET, GeneratorSpec(5, None, GREY)).discriminator
    with torch.no_grad():
        for parameter in discriminator.parameters():
            if parameter.ndim > 1:
                parameter.mul_(50)
    for _ in range(30):
        discriminator(torch.randn(2, 1, 28, 28))
    score = discriminator.eval().score.linear
    assert float(torch.linalg.matrix_norm(score.weight.detach(), 2)) == pytest.approx(1, abs=0.02)


def test_the_spread_of_a_group_tells_copies_from_variety() -> None:
    """Karras et al. 2018, section 3: one number a group, which no row of another group has a part in."""
    alike, varied = torch.ones(3, 4), torch.tensor([[1.0] * 4, [3.0] * 4, [5.0] * 4])
    told = MinibatchStddev(3)(torch.cat([alike, varied]))
    assert torch.equal(told[:, :4], torch.cat([alike, varied]))
    deviation = varied.var(dim=0, unbiased=False).mean().sqrt()
    assert told[:, 4].tolist() == pytest.approx([1e-4] * 3 + [float(deviation)] * 3, abs=1e-4)


def test_rows_that_fill_no_group_are_grouped_with_those_before_them() -> None:
    features = torch.tensor([[0.0], [2.0], [0.0], [6.0], [0.0]])
    assert MinibatchStddev(2)(features)[:, 1].tolist() == pytest.approx([1, 1, 3, 3, 3])
    assert MinibatchStddev(4)(features[:1])[:, 1].tolist() == pytest.approx([1e-4], abs=1e-5)


def test_virtual_batch_norm_takes_the_reference_batch_and_while_training_the_row_itself() -> None:
    """Salimans et al. 2016, 3.5, in numbers: R rows of reference, each row's own share one part of R + 1."""
    norm = VirtualBatchNorm(3, eps=0.0)
    reference, rows = torch.randn(3, 2, 4), torch.randn(5, 2, 4) * 3 + 1
    seen = torch.cat([reference, rows])
    for training in (True, False):
        got = norm.train(training)(seen)
        for number, row in enumerate(rows):
            batch = torch.cat([reference, row[None]]) if training else reference
            mean, variance = batch.mean(dim=(0, 2)), batch.var(dim=(0, 2), unbiased=False)
            expected = (row - mean[:, None]) / variance.sqrt()[:, None]
            assert torch.allclose(got[3 + number], expected, atol=1e-5)
        assert got[:3].mean(dim=(0, 2)).abs().max() < 1e-6


@pytest.mark.parametrize("config", [RESNET, DcganNetworks(generator_channels=4)])
def test_under_virtual_batch_norm_no_draw_depends_on_its_neighbours(config: Networks) -> None:
    """What batch norm lacks: in training too, a row comes out as it does alone."""
    virtual = config.model_copy(update={"virtual_batch_norm": 6})
    for one, independent in ((virtual, True), (config, False)):
        generator = build_networks(one, GeneratorSpec(5, None, GREY)).generator.train()
        latent = torch.randn(4, 5)
        together, alone = generator(latent), generator(latent[:2])
        assert torch.allclose(together[:2], alone, atol=1e-5) == independent


def test_the_reference_batch_is_of_the_prior_and_of_every_class() -> None:
    config = RESNET.model_copy(update={"virtual_batch_norm": 20})
    generator = build_networks(config, GeneratorSpec(5, 10, GREY, Prior.UNIFORM)).generator
    assert isinstance(generator, ReferencedGenerator)
    assert 0.9 < float(generator.latent_RD.abs().max()) <= 1
    assert generator.class_weights_RK.sum(dim=0).tolist() == [2] * 10


@pytest.mark.parametrize(
    ("height", "width", "count"), [(28, 28, 2), (8, 8, 1), (64, 64, 4), (12, 20, 1), (7, 7, 0), (48, 64, 3)]
)
def test_images_are_halved_down_to_a_grid_of_at_least_four(height: int, width: int, count: int) -> None:
    assert halvings(height, width) == count


@pytest.mark.parametrize("config", [RESNET, R3ganNetworks(), AcganNetworks(), DcganNetworks()])
def test_dropout_leaves_out_features_while_training_alone(config: Networks) -> None:
    dropping = config.model_copy(update={"discriminator_dropout": 0.9, "spectral_norm": False})
    discriminator = build_networks(dropping, GeneratorSpec(5, 3, GREY)).discriminator
    image, weights = torch.randn(1, 1, 28, 28), torch.eye(3)[:1]
    scores = {training: set() for training in (True, False)}
    for training, seen in scores.items():
        discriminator.train(training)
        seen.update(float(discriminator(image, weights).scores.detach()) for _ in range(6))
    assert len(scores[True]) > 1
    assert len(scores[False]) == 1


def test_residual_networks_refuse_vectors() -> None:
    with pytest.raises(ConfigError, match="mlp"):
        build_networks(RESNET, GeneratorSpec(5, None, VectorOutput(size=2)))


@pytest.mark.parametrize("autocast", [False, True])
def test_the_last_doubling_is_a_transposed_convolution_in_any_form(*, autocast: bool) -> None:
    """The form that trains grey images, beside torch's operator: values, and the gradients of all inputs."""
    layer = DoublingToImage(6, 1)
    x = torch.randn(3, 6, 4, 5, requires_grad=True)
    found = []
    for training in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            image = layer.train(training)(x)
        assert image.shape == (3, 1, 8, 10)
        weighed = (image.float() * torch.linspace(-1, 1, image.numel()).reshape(image.shape)).sum()
        found.append([image.float(), *torch.autograd.grad(weighed, [x, *layer.parameters()])])
    tolerance = 0.05 if autocast else 1e-5
    torch.testing.assert_close(found[0], found[1], rtol=tolerance, atol=tolerance)
