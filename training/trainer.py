"""The one training loop: it plays whatever game a recipe names."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import torch

from training.batches import Batches
from training.checkpoint import checkpoints, load_newest, save_checkpoint, set_later_aside
from training.config import RunConfig
from training.data import Dataset
from training.distributed import Processes
from training.ema import ema_beta, update_average
from training.errors import ConfigError, TrainingError
from training.game import Game, dealt
from training.interrupts import Interrupts
from training.monitor import Monitor, SilentMonitor
from training.networks import GeneratorSpec
from training.part_config import Augmentation
from training.run import RunDirectory
from training.sampling import Sampler, torch_runner
from training.state import State


class Diverged(TrainingError):
    """A loss is no longer a finite number."""


def generator_spec(config: RunConfig, dataset: Dataset) -> GeneratorSpec:
    """Return the outside of the generator that this recipe trains on this data."""
    recipe = config.recipe
    classes = dataset.classes if recipe.conditional else None
    return GeneratorSpec(recipe.latent.dim, classes, dataset.output, recipe.latent.prior)


class Trainer:
    """A recipe's parts on a data set, ready to play."""

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        run: RunDirectory,
        device: torch.device,
        processes: Processes | None = None,
    ) -> None:
        self.config = config
        self.recipe = config.recipe
        self.spec = generator_spec(config, dataset)
        if self.spec.output.kind == "vector" and self.recipe.augmentation != Augmentation():
            raise ConfigError("augmentation shifts and blanks images; it means nothing for data of vectors")
        self.run = run
        self.processes = processes or Processes()
        self.shards = dealt(self.recipe, self.processes)
        self._dataset, self._device = dataset, device
        self.state = State.fresh(config, self.spec, device, self.processes)
        self.total_images = round(self.recipe.total_kimg * 1000)

    @cached_property
    def batches(self) -> Batches:
        """The training samples on the device; drawing and exporting never ask for them."""
        part = self._dataset.part(held_out=False)
        return Batches(part, self.spec.classes, self.config.seed, self._device)

    @cached_property
    def game(self) -> Game:
        """The two players' turns."""
        return Game(self.recipe, self.state, self.batches, self.total_images, self.shards, self.processes)

    @property
    def sampler(self) -> Sampler:
        """The averaged generator, to draw from."""
        return Sampler(torch_runner(self.state.averaged), self.spec, self.recipe.latent.prior)

    def resume(self) -> None:
        """Go back to the run's newest sound checkpoint, to train on.

        A run that was stopped before its first one begins anew, which is the same.
        """
        folder = self.run.checkpoints
        if checkpoints(folder):
            path, saved = load_newest(folder)
            self.state.load(saved)
            set_later_aside(folder, path)

    def recall(self) -> dict[str, Any]:
        """Take the averaged generator of the newest sound checkpoint, to draw from; any device will do.

        Returns all that the checkpoint holds.
        """
        _, saved = load_newest(self.run.checkpoints)
        self.state.load_averaged(saved)
        return saved

    def train(self) -> None:
        """Play until the recipe's images are seen.

        An interrupt is granted between two steps, in all processes between the same two: it saves and raises
        ``KeyboardInterrupt``.
        """
        state = self.state
        with Interrupts() as interrupts, self._monitor() as monitor:
            if state.steps == 0:
                self.checkpoint()
            while state.images_seen < self.total_images:
                self._step(monitor)
                if self.processes.any(wish=interrupts.wanted):
                    self._save(monitor)
                    monitor.animate()
                    raise KeyboardInterrupt
            if state.figures:
                self._report(monitor)
            if not self.run.grid_file(state.images_seen).exists():
                monitor.sample(state.images_seen, self.sampler)
            self._save(monitor)  # last: a run that has this checkpoint has all the rest
            monitor.animate()

    def _save(self, monitor: Monitor) -> None:
        """Save the whole state, after the figures that it takes for written."""
        monitor.sync()
        self.checkpoint()

    def checkpoint(self) -> None:
        """Save the whole state; raises ``Diverged`` rather than replace a good state by a broken one."""
        self._require_finite()
        seen, folder = self.state.images_seen, self.run.checkpoints
        self.processes.by_first(lambda: save_checkpoint(folder, seen, self.state.save()))

    def _monitor(self) -> Monitor:
        kind = Monitor if self.processes.is_first else SilentMonitor
        return kind(self.run, self.total_images, self.state.images_seen)

    def _require_finite(self) -> None:
        figures = self.state.figures
        self.processes.average(figures.sums)
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
            d_loss, real, fake = self.game.discriminator_step()
            state.images_seen += recipe.batch_size
        g_loss = self.game.generator_step()
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
            self._save(monitor)

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
