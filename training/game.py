"""The turns of the two players: what each is shown, what it pays for, and its step.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.augment import augment
from training.batches import Batches
from training.config import Recipe
from training.losses import build_loss
from training.networks.interface import Verdict
from training.noise import draw_latents
from training.penalties import (
    clip_weights,
    gradient_penalty,
    orthogonal_penalty,
    squared_gradient,
)
from training.state import State


class Game:
    """A recipe's game, played on the players and the random numbers of a state."""

    def __init__(self, recipe: Recipe, state: State, batches: Batches, total_images: int) -> None:
        self._recipe, self._state, self._batches = recipe, state, batches
        self._total_images = total_images
        self._loss = build_loss(recipe.loss, recipe.label_smoothing)
        device = state.random.device.type
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bf16")

    def discriminator_step(self) -> tuple[Tensor, Tensor, Tensor]:
        """Teach D on one batch of either kind; return its loss and its scores of both."""
        recipe, state = self._recipe, self._state
        real, real_weights = self._batches.at(state.images_seen, recipe.batch_size)
        with torch.no_grad():
            fake, fake_weights = self._draw()
        of_real, of_fake = self._judge_both(real, real_weights, fake, fake_weights)
        loss = self._loss.discriminator(of_real.scores, of_fake.scores)
        loss = loss + self._gradient_penalties(real, real_weights, fake, fake_weights)
        if recipe.class_loss:
            taught = class_loss(of_real, real_weights) + class_loss(of_fake, fake_weights, drawn=True)
            loss = loss + recipe.class_loss * taught
        state.discriminator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.discriminator_optimiser.step()
        if recipe.penalties.weight_clipping is not None:
            clip_weights(state.discriminator, recipe.penalties.weight_clipping)
        return loss.detach(), of_real.scores.detach(), of_fake.scores.detach()

    def generator_step(self) -> Tensor:
        """Teach G to be scored higher; return its loss."""
        recipe, state = self._recipe, self._state
        state.discriminator.requires_grad_(False)  # noqa: FBT003 - torch's signature
        fake, weights = self._draw()
        verdict = self._judge(fake, weights)
        loss = self._loss.generator(verdict.scores, self._scores_to_beat)
        if recipe.class_loss:
            loss = loss + recipe.class_loss * class_loss(verdict, weights)
        if recipe.penalties.orthogonal:
            loss = loss + recipe.penalties.orthogonal * orthogonal_penalty(state.generator)
        state.generator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.generator_optimiser.step()
        state.discriminator.requires_grad_(True)  # noqa: FBT003 - torch's signature
        return loss.detach()

    def _scores_to_beat(self) -> Tensor:
        """Return D's scores of the real batch that it was last shown, for games that compare."""
        rows = self._recipe.batch_size
        real, weights = self._batches.at(self._state.images_seen - rows, rows)
        return self._judge(real, weights).scores

    def _draw(self) -> tuple[Tensor, Tensor | None]:
        """Draw a batch of the generator's: samples and the class weights they were drawn for."""
        rows, latent, random = (
            self._recipe.batch_size,
            self._recipe.latent,
            self._state.random,
        )
        latent_ND = draw_latents(rows, latent.dim, latent.prior, random)
        weights_NK = self._batches.random_class_weights(rows, random)
        with self._autocast:
            samples = self._state.generator(latent_ND, weights_NK)
        return samples.float(), weights_NK

    def _judge(self, samples: Tensor, weights_NK: Tensor | None) -> Verdict:
        """Return D's verdict on samples as it gets to see them: augmented and noisy."""
        recipe, random = self._recipe, self._state.random
        seen = augment(samples, recipe.augmentation, random)
        if recipe.instance_noise:
            left = max(0.0, 1.0 - self._state.images_seen / self._total_images)
            noise = torch.randn(seen.shape, generator=random, device=seen.device)
            seen = seen + recipe.instance_noise * left * noise
        with self._autocast:
            verdict = self._state.discriminator(seen, weights_NK)
        logits = None if verdict.class_logits is None else verdict.class_logits.float()
        return Verdict(verdict.scores.float(), logits)

    def _judge_both(
        self,
        real: Tensor,
        real_weights: Tensor | None,
        fake: Tensor,
        fake_weights: Tensor | None,
    ) -> tuple[Verdict, Verdict]:
        """Return the verdicts on both kinds, seen in one batch or apart."""
        if self._recipe.separate_batches:
            return self._judge(real, real_weights), self._judge(fake, fake_weights)
        weights = None
        if real_weights is not None and fake_weights is not None:
            weights = torch.cat([real_weights, fake_weights])
        verdict = self._judge(torch.cat([real, fake]), weights)
        of_real, of_fake = verdict.scores.chunk(2)
        if verdict.class_logits is None:
            return Verdict(of_real), Verdict(of_fake)
        real_logits, fake_logits = verdict.class_logits.chunk(2)
        return Verdict(of_real, real_logits), Verdict(of_fake, fake_logits)

    def _gradient_penalties(
        self,
        real: Tensor,
        real_weights: Tensor | None,
        fake: Tensor,
        fake_weights: Tensor | None,
    ) -> Tensor | float:
        """Return what D pays for the steepness of its scores, at samples that are not augmented."""
        penalties, discriminator = self._recipe.penalties, self._state.discriminator
        total: Tensor | float = 0.0

        def of_real(samples: Tensor) -> Tensor:
            return discriminator(samples, real_weights).scores

        def of_fake(samples: Tensor) -> Tensor:
            return discriminator(samples, fake_weights).scores

        if penalties.gradient_penalty:
            steepness = gradient_penalty(of_real, real, fake, self._state.random)
            total = total + penalties.gradient_penalty * steepness
        if penalties.r1:
            total = total + penalties.r1 * squared_gradient(of_real, real)
        if penalties.r2:
            total = total + penalties.r2 * squared_gradient(of_fake, fake)
        return total


def class_loss(verdict: Verdict, weights_NK: Tensor | None, *, drawn: bool = False) -> Tensor:
    """Return the cross-entropy of D's class logits with the labels (Odena et al. 2017, equation 3).

    A D with a class of its own for drawn samples is taught that class where they are ``drawn``; G is to
    have its samples taken for their label in any case.
    """
    logits = verdict.class_logits
    assert logits is not None, "the recipe's networks tell classes"
    assert weights_NK is not None, "the recipe's data has labels"
    if logits.shape[1] == weights_NK.shape[1]:
        return functional.cross_entropy(logits, weights_NK)
    target = functional.pad(weights_NK, (0, 1))
    if drawn:
        target = torch.zeros_like(logits)
        target[:, -1] = 1.0
    return functional.cross_entropy(logits, target)
