"""Each part of a recipe obeys the law that its source states."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract.latents import Prior
from training.augment import augment, cut_out, flip, recolour, translate
from training.batches import Batches, BatchOrder
from training.data.dataset import Part
from training.ema import ema_beta, update_average
from training.losses import Hinge, NonSaturating
from training.noise import draw_latents
from training.part_config import Augmentation, Averaging
from training.shards import Draws, Shard


def _random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _draws(seed: int = 0) -> Draws:
    return Draws(_random(seed))


@given(start=st.integers(0, 200), size=st.integers(1, 60))
def test_any_window_of_the_order_is_the_same_however_it_is_reached(start: int, size: int) -> None:
    walked = BatchOrder(17, 5)
    whole = np.concatenate([walked.rows(position, 1) for position in range(start + size)])
    assert np.array_equal(BatchOrder(17, 5).rows(start, size), whole[start:])


def test_every_epoch_shows_every_row_once_in_a_new_order() -> None:
    order = BatchOrder(50, 1)
    epochs = [order.rows(50 * epoch, 50) for epoch in range(3)]
    assert all(sorted(epoch.tolist()) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3
    assert not np.array_equal(epochs[0], BatchOrder(50, 2).rows(0, 50))


def test_batches_are_images_from_minus_one_to_one_with_their_own_labels() -> None:
    samples = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * 85
    batches = Batches(Part(samples, np.arange(4)), 4, 0, torch.device("cpu"))
    images, weights = batches.at(0, Shard(8))
    assert images.shape == (8, 1, 1, 1)
    assert weights is not None
    expected = weights.argmax(dim=1) * 85 / 127.5 - 1
    assert torch.allclose(images.flatten(), expected, atol=1e-6)


def test_drawn_labels_are_as_frequent_as_in_the_data() -> None:
    labels = np.repeat([0, 1], [90, 10])
    batches = Batches(Part(np.zeros((100, 1, 1, 1), np.uint8), labels), 2, 0, torch.device("cpu"))
    weights = batches.random_class_weights(5000, _draws())
    assert weights is not None
    assert weights.sum(dim=1).eq(1).all()
    assert float(weights[:, 1].mean()) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("prior", "variance"), [(Prior.NORMAL, 1.0), (Prior.UNIFORM, 1 / 3), (Prior.SPHERE, 1.0)]
)
def test_training_noise_has_the_law_of_the_prior(prior: Prior, variance: float) -> None:
    z = draw_latents(4000, 8, prior, _draws())
    assert float(z.mean()) == pytest.approx(0, abs=0.03)
    assert float(z.var()) == pytest.approx(variance, rel=0.05)
    if prior is Prior.UNIFORM:
        assert z.abs().max() <= 1
    if prior is Prior.SPHERE:
        assert torch.allclose(z.norm(dim=1), torch.full((4000,), math.sqrt(8)))


def test_the_hinge_stops_at_its_margins() -> None:
    loss = Hinge()
    assert float(loss.discriminator(torch.tensor([1.5, 3.0]), torch.tensor([-1.0, -9.0]))) == 0
    assert float(loss.discriminator(torch.tensor([0.0]), torch.tensor([0.5]))) == 2.5
    assert float(loss.generator(torch.tensor([0.25, 0.75]))) == -0.5


def test_the_non_saturating_loss_is_cross_entropy_on_logits() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([0.7, -0.1])
    expected = -(torch.log(torch.sigmoid(real)).mean() + torch.log(1 - torch.sigmoid(fake)).mean())
    assert torch.allclose(NonSaturating().discriminator(real, fake), expected)
    assert torch.allclose(NonSaturating().generator(fake), -torch.log(torch.sigmoid(fake)).mean())
    assert torch.isfinite(NonSaturating().generator(torch.tensor([-1e4]))).all()


@given(st.integers(0, 1000))
def test_a_translation_shifts_whole_pixels_within_its_bound(seed: int) -> None:
    image = torch.zeros(1, 1, 16, 12)
    image[0, 0, 8, 6] = 1
    shifted = translate(image, 0.25, _draws(seed))
    assert shifted.sum() == 1
    _, _, y, x = (int(axis[0]) for axis in shifted.nonzero(as_tuple=True))
    assert abs(y - 8) <= 4
    assert abs(x - 6) <= 3


def test_a_translation_reaches_every_shift_evenly() -> None:
    image = torch.zeros(7000, 1, 9, 9)
    image[:, 0, 4, 4] = 1
    share = translate(image, 0.34, _draws()).mean(dim=0)[0, 1:8, 1:8]
    assert float(share.min()) > 0.7 / 49
    assert float(share.max()) < 1.4 / 49


def test_a_cutout_blanks_one_square_to_grey() -> None:
    blanked = cut_out(torch.ones(64, 1, 16, 16), 0.5, _draws())
    zeros = blanked.eq(0).sum(dim=(1, 2, 3))
    assert int(zeros.max()) in range(49, 65)
    assert zeros.min() > 0


def test_augmentation_passes_gradients_and_off_means_untouched() -> None:
    images = torch.randn(4, 3, 8, 8, requires_grad=True)
    augment(images, Augmentation(translation=0.25, cutout=0.25), _draws()).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert augment(images, Augmentation(), _draws()) is images


def test_the_average_forgets_half_in_its_half_life() -> None:
    config = Averaging(halflife_kimg=10, ramp=1e9)
    assert ema_beta(config, 100, 10**9) ** 100 == pytest.approx(0.5)
    assert ema_beta(config, 10_000, 10**9) == pytest.approx(0.5)


def test_the_average_is_short_at_first() -> None:
    config = Averaging(halflife_kimg=10, ramp=0.05)
    assert ema_beta(config, 64, 64) < 1e-3
    betas = [ema_beta(config, 64, seen) for seen in (64, 640, 6_400, 64_000, 640_000, 6_400_000)]
    assert betas == sorted(betas)
    assert betas[-1] == betas[-2]


def test_averages_cover_weights_and_running_statistics() -> None:
    network = torch.nn.BatchNorm1d(2)
    averaged = copy.deepcopy(network)
    network.weight.data.fill_(3.0)
    network.running_mean.fill_(10.0)
    network.num_batches_tracked.fill_(4)
    update_average(averaged, network, 0.75)
    assert averaged.weight.tolist() == [1.5, 1.5]
    assert averaged.running_mean.tolist() == [2.5, 2.5]
    assert int(averaged.num_batches_tracked) == 4


def test_flips_mirror_about_half_of_the_images_and_change_no_pixel() -> None:
    images = torch.arange(2.0 * 3 * 4).reshape(1, 2, 3, 4).expand(400, -1, -1, -1)
    flipped = flip(images, _draws())
    mirrored = torch.tensor([torch.equal(one, images[0].flip(2)) for one in flipped])
    untouched = torch.tensor([torch.equal(one, images[0]) for one in flipped])
    assert (mirrored ^ untouched).all()
    assert 0.4 < float(mirrored.float().mean()) < 0.6


def test_colours_change_by_image_and_as_far_as_is_asked() -> None:
    images = torch.rand(300, 3, 4, 5, generator=_random(1)) * 2 - 1
    assert torch.allclose(recolour(images, 0.0, _draws()), images, atol=1e-6)
    changed = recolour(images, 1.0, _draws())
    moved = (changed - images).mean(dim=(1, 2, 3))
    assert float(moved.min()) > -0.5
    assert float(moved.max()) < 0.5
    assert float(moved.std()) == pytest.approx(1 / math.sqrt(12), abs=0.03), "brightness is spread evenly"
    weaker = (recolour(images, 0.1, _draws()) - images).abs().mean()
    assert float(weaker) < 0.2 * float((changed - images).abs().mean())


def test_gradients_pass_through_flips_and_colours() -> None:
    images = torch.randn(4, 3, 6, 5, generator=_random(), requires_grad=True)
    config = Augmentation(flip=True, colour=0.5)
    augment(images, config, _draws()).square().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).all()


def test_grey_images_stay_grey() -> None:
    images = torch.rand(5, 1, 4, 4, generator=_random())
    assert augment(images, Augmentation(colour=1.0, flip=True), _draws()).shape == images.shape
