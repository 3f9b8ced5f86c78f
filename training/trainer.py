"""The one training loop: it plays whatever parts a recipe names.

Shapes: N rows, D latent dimensions, K classes.
"""

from __future__ import annotations

import time
from functools import cached_property

import torch
from torch import Tensor

from training.augment import augment
from training.batches import Batches
from training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from training.config import RunConfig
from training.data import Dataset
from training.ema import ema_beta, update_average
from training.errors import ConfigError, TrainingError
from training.interrupts import Interrupts
from training.losses import Loss, build_loss
from training.monitor import Monitor
from training.networks import GeneratorSpec
from training.noise import draw_latents
from training.part_config import Augmentation
from training.penalties import clip_weights, gradient_penalty, orthogonal_penalty, squared_gradient
from training.run import RunDirectory
from training.sampling import Sampler, torch_runner
from training.state import State


class Diverged(TrainingError):
    """A loss is no longer a finite number."""


def generator_spec(config: RunConfig, dataset: Dataset) -> GeneratorSpec:
    """Return the outside of the generator that this recipe trains on this data."""
    recipe = config.recipe
    classes = dataset.classes if recipe.conditional else None
    return GeneratorSpec(recipe.latent.dim, classes, dataset.output)


class Trainer:
    """A recipe's parts on a data set, ready to play."""

    def __init__(self, config: RunConfig, dataset: Dataset, run: RunDirectory, device: torch.device) -> None:
        self.config = config
        self.recipe = config.recipe
        self.spec = generator_spec(config, dataset)
        if self.spec.output.kind == "vector" and self.recipe.augmentation != Augmentation():
            raise ConfigError("augmentation shifts and blanks images; it means nothing for data of vectors")
        self.run = run
        self._dataset, self._device = dataset, device
        self.loss: Loss = build_loss(self.recipe.loss, self.recipe.label_smoothing)
        self.state = State.fresh(config, self.spec, device)
        self.total_images = round(self.recipe.total_kimg * 1000)
        self._autocast = torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

    @cached_property
    def batches(self) -> Batches:
        """The training samples on the device; drawing and exporting never ask for them."""
        part = self._dataset.part(held_out=False)
        return Batches(part, self.spec.classes, self.config.seed, self._device)

    @property
    def sampler(self) -> Sampler:
        """The averaged generator, to draw from."""
        return Sampler(torch_runner(self.state.averaged), self.spec, self.recipe.latent.prior)

    def resume(self) -> None:
        """Go back to the run's newest checkpoint, to train on."""
        self.state.load(load_checkpoint(newest_checkpoint(self.run.checkpoints)))

    def recall(self) -> None:
        """Take the newest checkpoint's averaged generator, to draw from; any device will do."""
        self.state.load_averaged(load_checkpoint(newest_checkpoint(self.run.checkpoints)))

    def train(self) -> None:
        """Play until the recipe's images are seen.

        An interrupt is granted between two steps: it saves and raises ``KeyboardInterrupt``.
        """
        state = self.state
        if state.steps == 0:
            self.checkpoint()  # so that a run that is killed early can go on too
        with Interrupts() as interrupts, Monitor(self.run, self.total_images, state.images_seen) as monitor:
            while state.images_seen < self.total_images:
                self._step(monitor)
                if interrupts.wanted:
                    self.checkpoint()
                    raise KeyboardInterrupt
            if state.figures:
                self._report(monitor)
            self.checkpoint()
            monitor.sample(state.images_seen, self.sampler)

    def checkpoint(self) -> None:
        """Save the whole state; raises ``Diverged`` rather than replace a good state by a broken one."""
        self._require_finite()
        save_checkpoint(self.run.checkpoints, self.state.images_seen, self.state.save())

    def _require_finite(self) -> None:
        figures = self.state.figures
        if figures and not figures.finite():
            raise Diverged(
                f"a loss is no longer finite after {self.state.images_seen} images ({figures.means()}); "
                "lower the learning rates, or go back: the newest checkpoint is sound"
            )

    def _step(self, monitor: Monitor) -> None:
        """One turn of each player, and what is due after it."""
        started = time.monotonic()
        state, recipe = self.state, self.recipe
        before = state.images_seen
        self._set_learning_rates()
        for _ in range(recipe.discriminator_steps):
            d_loss, real, fake = self._discriminator_step()
            state.images_seen += recipe.batch_size
        g_loss = self._generator_step()
        beta = ema_beta(recipe.averaging, state.images_seen - before, state.images_seen)
        update_average(state.averaged, state.generator, beta)
        state.steps += 1
        state.figures.add(d_loss=d_loss, g_loss=g_loss, d_real=real.mean(), d_fake=fake.mean())
        monitor.advance(state.images_seen - before)
        state.wall_time_s += time.monotonic() - started
        self._after_step(monitor, before)

    def _after_step(self, monitor: Monitor, before: int) -> None:
        config, now = self.config, self.state.images_seen

        def due(every_kimg: float) -> bool:
            every = every_kimg * 1000
            return now // every > before // every

        if due(config.log_every_kimg):
            self._report(monitor)
        if due(config.sample_every_kimg):
            monitor.sample(now, self.sampler)
        if due(config.checkpoint_every_kimg):
            self.checkpoint()

    def _report(self, monitor: Monitor) -> None:
        state = self.state
        self._require_finite()
        monitor.report(
            state.images_seen,
            state.figures.means(),
            steps=state.steps,
            wall_time_s=round(state.wall_time_s, 3),
        )
        state.figures.clear()

    def _set_learning_rates(self) -> None:
        recipe = self.recipe
        left = 1.0 - self.state.images_seen / self.total_images
        factor = min(1.0, left / recipe.learning_rate_decay) if recipe.learning_rate_decay else 1.0
        for optimiser, config in (
            (self.state.generator_optimiser, recipe.generator_optimiser),
            (self.state.discriminator_optimiser, recipe.discriminator_optimiser),
        ):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * factor

    def _draw(self) -> tuple[Tensor, Tensor | None]:
        """Draw a batch of the generator's: samples and the class weights they were drawn for."""
        rows, random = self.recipe.batch_size, self.state.random
        latent_ND = draw_latents(rows, self.recipe.latent.dim, self.recipe.latent.prior, random)
        weights_NK = self.batches.random_class_weights(rows, random)
        with self._autocast:
            samples = self.state.generator(latent_ND, weights_NK)
        return samples.float(), weights_NK

    def _score(self, samples: Tensor, weights_NK: Tensor | None) -> Tensor:
        """Return the discriminator's scores of samples as it gets to see them: augmented and noisy."""
        seen = augment(samples, self.recipe.augmentation, self.state.random)
        if self.recipe.instance_noise:
            left = max(0.0, 1.0 - self.state.images_seen / self.total_images)
            noise = torch.randn(seen.shape, generator=self.state.random, device=seen.device)
            seen = seen + self.recipe.instance_noise * left * noise
        with self._autocast:
            scores = self.state.discriminator(seen, weights_NK)
        return scores.float()

    def _discriminator_step(self) -> tuple[Tensor, Tensor, Tensor]:
        """Teach D on one batch of either kind; return its loss and its scores of both."""
        state = self.state
        real, real_weights = self.batches.at(state.images_seen, self.recipe.batch_size)
        with torch.no_grad():
            fake, fake_weights = self._draw()
        if self.recipe.separate_batches:
            real_scores, fake_scores = self._score(real, real_weights), self._score(fake, fake_weights)
        else:
            weights = None
            if real_weights is not None and fake_weights is not None:
                weights = torch.cat([real_weights, fake_weights])
            real_scores, fake_scores = self._score(torch.cat([real, fake]), weights).chunk(2)
        loss = self.loss.discriminator(real_scores, fake_scores)
        loss = loss + self._gradient_penalties(real, real_weights, fake, fake_weights)
        state.discriminator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.discriminator_optimiser.step()
        if self.recipe.penalties.weight_clipping is not None:
            clip_weights(state.discriminator, self.recipe.penalties.weight_clipping)
        return loss.detach(), real_scores.detach(), fake_scores.detach()

    def _gradient_penalties(
        self, real: Tensor, real_weights: Tensor | None, fake: Tensor, fake_weights: Tensor | None
    ) -> Tensor | float:
        """Return what D pays for the steepness of its scores, at samples that are not augmented."""
        penalties, discriminator = self.recipe.penalties, self.state.discriminator
        total: Tensor | float = 0.0

        def of_real(samples: Tensor) -> Tensor:
            return discriminator(samples, real_weights)

        if penalties.gradient_penalty:
            steepness = gradient_penalty(of_real, real, fake, self.state.random)
            total = total + penalties.gradient_penalty * steepness
        if penalties.r1:
            total = total + penalties.r1 * squared_gradient(of_real, real)
        if penalties.r2:
            total = total + penalties.r2 * squared_gradient(lambda x: discriminator(x, fake_weights), fake)
        return total

    def _generator_step(self) -> Tensor:
        """Teach G to be scored higher; return its loss."""
        state = self.state
        state.discriminator.requires_grad_(False)  # noqa: FBT003 - torch's signature
        fake, weights = self._draw()
        loss = self.loss.generator(self._score(fake, weights))
        if self.recipe.penalties.orthogonal:
            loss = loss + self.recipe.penalties.orthogonal * orthogonal_penalty(state.generator)
        state.generator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.generator_optimiser.step()
        state.discriminator.requires_grad_(True)  # noqa: FBT003 - torch's signature
        return loss.detach()
