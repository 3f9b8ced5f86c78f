"""The turns of the two players: what each is shown, what it pays for, and its step.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.augment import augment
from training.batches import Batches
from training.distributed import Processes
from training.errors import ConfigError
from training.losses import build_loss
from training.networks.interface import Verdict
from training.noise import draw_latents
from training.penalties import (
    clip_weights,
    gradient_penalty,
    orthogonal_penalty,
    squared_gradient,
)
from training.recipe_config import Recipe
from training.shards import Draws, Shard, set_shard
from training.state import State
from training.whole_batch import held_spectral_norms


def dealt(recipe: Recipe, processes: Processes) -> list[Shard]:
    """Return the shards of a batch that this process plays; raises ``ConfigError`` if none are equal."""
    pieces, group = recipe.accumulation, recipe.networks.minibatch_stddev or 1
    count = processes.size * pieces
    if recipe.batch_size % (count * group) > 0:
        whole = f" of whole groups of {group} (networks.minibatch_stddev)" * (group > 1)
        raise ConfigError(
            f"batch_size {recipe.batch_size} cannot be dealt evenly to {processes.size} processes in "
            f"{pieces} piece{'s' * (pieces > 1)} each{whole}: it must be a multiple of {count * group}"
        )
    first = processes.rank * pieces
    return [Shard(recipe.batch_size // count, number, count) for number in range(first, first + pieces)]


class Game:
    """A recipe's game, played on the players and the random numbers of a state.

    Each process plays its shards of every batch. Gradients are averaged here, once a step, and not by torch's
    ``DistributedDataParallel``: that wrapper expects one pass forward and one back, and a step here passes D
    several times, and penalties pass it back twice.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: State,
        batches: Batches,
        shards: list[Shard],
        processes: Processes,
    ) -> None:
        self._recipe, self._state, self._batches = recipe, state, batches
        self._processes = processes
        self._shards, self._shard = shards, shards[0]
        self._draws = Draws(state.random)
        self._loss = build_loss(recipe.loss, recipe.label_smoothing)
        device = state.random.device.type
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bf16")

    def discriminator_step(self) -> tuple[Tensor, Tensor, Tensor]:
        """Teach D on one batch of either kind; return its loss and its scores of both.

        The loss and the scores are of this process's rows.
        """
        state = self._state
        loss, of_real, of_fake = self._learn(
            state.discriminator, state.discriminator_optimiser, self._discriminator_loss
        )
        if self._recipe.penalties.weight_clipping is not None:
            clip_weights(state.discriminator, self._recipe.penalties.weight_clipping)
        return loss.mean(), of_real, of_fake

    def generator_step(self) -> Tensor:
        """Teach G to be scored higher; return its loss."""
        state = self._state
        state.discriminator.requires_grad_(False)  # noqa: FBT003 - torch's signature
        [loss] = self._learn(state.generator, state.generator_optimiser, self._generator_loss)
        state.discriminator.requires_grad_(True)  # noqa: FBT003 - torch's signature
        return loss.mean()

    def _discriminator_loss(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return D's loss on a shard of one batch of either kind, and its scores of both."""
        recipe = self._recipe
        real, real_weights = self._batches.at(self._state.images_seen, self._shard)
        with torch.no_grad():
            fake, fake_weights = self._draw()
        of_real, of_fake = self._judge_both(real, real_weights, fake, fake_weights)
        loss = self._loss.discriminator(of_real.scores, of_fake.scores)
        loss = loss + self._gradient_penalties(real, real_weights, fake, fake_weights)
        if recipe.class_loss:
            taught = class_loss(of_real, real_weights) + class_loss(of_fake, fake_weights, drawn=True)
            loss = loss + recipe.class_loss * taught
        return loss, of_real.scores, of_fake.scores

    def _generator_loss(self) -> tuple[Tensor]:
        """Return G's loss on a shard of a batch."""
        recipe = self._recipe
        fake, weights = self._draw()
        verdict = self._judge(fake, weights)
        loss = self._loss.generator(verdict.scores, self._scores_to_beat)
        if recipe.class_loss:
            loss = loss + recipe.class_loss * class_loss(verdict, weights)
        if recipe.penalties.orthogonal:
            loss = loss + recipe.penalties.orthogonal * orthogonal_penalty(self._state.generator)
        return (loss,)

    def _learn(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        loss_of_shard: Callable[[], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        """Take a step down the gradient of a loss over the whole batch; return what was measured, by rows.

        ``loss_of_shard`` returns the loss, a mean over the shard's rows, and further figures ``[N]``.
        """
        optimiser.zero_grad(set_to_none=True)
        measured = []
        for _ in self._each_shard():
            loss, *figures = loss_of_shard()
            (loss / len(self._shards)).backward()
            measured.append([loss.detach().reshape(1), *(figure.detach() for figure in figures)])
        gradients = [one.grad for one in network.parameters() if one.grad is not None]
        self._processes.average(gradients)
        optimiser.step()
        return tuple(torch.cat(pieces) for pieces in zip(*measured, strict=True))

    def _each_shard(self) -> Iterator[None]:
        """Go through this process's shards of a batch, with the same random numbers for each."""
        state = self._state
        players = (state.generator, state.discriminator)
        begun = state.random_states() if len(self._shards) > 1 else {}
        for number, shard in enumerate(self._shards):
            self._shard = self._draws.shard = shard
            for player in players:
                set_shard(player, shard)
            if number > 0:
                state.set_random_states(begun)
            with held_spectral_norms(players if number > 0 else ()):
                yield

    def _scores_to_beat(self) -> Tensor:
        """Return D's scores of the real batch that it was last shown, for games that compare."""
        before = self._state.images_seen - self._recipe.batch_size
        real, weights = self._batches.at(before, self._shard)
        return self._judge(real, weights).scores

    def _draw(self) -> tuple[Tensor, Tensor | None]:
        """Draw a shard of a batch of the generator's: samples and the class weights they were drawn for."""
        rows, latent = self._shard.rows, self._recipe.latent
        latent_ND = draw_latents(rows, latent.dim, latent.prior, self._draws)
        weights_NK = self._batches.random_class_weights(rows, self._draws)
        with self._autocast:
            samples = self._state.generator(latent_ND, weights_NK)
        return samples.float(), weights_NK

    def _judge(self, samples: Tensor, weights_NK: Tensor | None) -> Verdict:
        """Return D's verdict on samples as it gets to see them: augmented and noisy."""
        recipe = self._recipe
        seen = augment(samples, recipe.augmentation, self._draws)
        if recipe.instance_noise:
            left = 1.0 - recipe.progress(self._state.images_seen)
            seen = seen + recipe.instance_noise * left * self._draws.normal(*seen.shape)
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
            steepness = gradient_penalty(of_real, real, fake, self._draws)
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
