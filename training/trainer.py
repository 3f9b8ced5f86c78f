"""The one training loop: it plays whatever game a recipe names."""

from __future__ import annotations

import time
from functools import cached_property

import torch

from training.batches import Batches
from training.care import Care
from training.config import RunConfig
from training.data import Dataset
from training.distributed import Processes
from training.doctor import Doctor
from training.ema import ema_beta, update_average
from training.errors import ConfigError, Diverged
from training.game import Game, dealt
from training.interrupts import Interrupts
from training.monitor import Monitor, SilentMonitor
from training.networks import GeneratorSpec
from training.part_config import Augmentation
from training.placement import memory_format_of
from training.recipe_config import Recipe
from training.run import RunDirectory
from training.sampling import Sampler, torch_runner
from training.saves import Saves
from training.state import State


def _generator_spec(recipe: Recipe, dataset: Dataset) -> GeneratorSpec:
    """Return the outside of the generator that this recipe trains on this data.

    Raises ``ConfigError`` if the recipe treats as images what are none.
    """
    if dataset.output.kind == "vector" and recipe.augmentation != Augmentation():
        raise ConfigError("augmentation shifts and blanks images; it means nothing for data of vectors")
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
        self.config, self.recipe, self.run = config, config.recipe, run
        self.processes = processes or Processes()
        self.spec = _generator_spec(self.recipe, dataset)
        self._dataset, self._device = dataset, device
        self._memory_format = memory_format_of(self.spec.output)
        self._shards = dealt(self.recipe, self.processes)
        self.state = State.fresh(config, self.spec, device, self._memory_format, self.processes)
        self.doctor = Doctor(self.recipe, dataset, self.spec)
        self.saves = Saves(run, self.state, self.doctor, self.processes)
        self.care = Care(config, run, self.state, self.doctor, self.saves, self.processes)

    @cached_property
    def batches(self) -> Batches:
        """The training samples on the device; drawing and exporting never ask for them."""
        part = self._dataset.part(held_out=False)
        return Batches(part, self.spec.classes, self.config.seed, self._device, self._memory_format)

    @cached_property
    def game(self) -> Game:
        """What the players are shown, what they pay, and their steps."""
        return Game(self.recipe, self.state, self.batches, self._shards, self.processes)

    @property
    def sampler(self) -> Sampler:
        """The averaged generator, to draw from."""
        return Sampler(torch_runner(self.state.averaged), self.spec, self.recipe.latent.prior)

    @property
    def is_over(self) -> bool:
        """Whether the recipe's images are seen."""
        return self.state.images_seen >= self.recipe.total_images

    def train(self) -> None:
        """Play until the recipe's images are seen.

        An interrupt is granted between two turns, in all processes between the same two: it saves and raises
        ``KeyboardInterrupt``. ``Failing`` is raised where the doctor names a failure and the run is to end
        for one, ``Diverged`` where a loss is no number any more.
        """
        with Interrupts() as interrupts, self.monitor() as monitor:
            try:
                self._play(monitor, interrupts)
            except Diverged as error:
                self.care.note_divergence(error, monitor)
                raise

    def monitor(self) -> Monitor:
        """Return what shows the run, from where it stands; nothing is shown by any process but the first."""
        kind = Monitor if self.processes.is_first else SilentMonitor
        return kind(self.run, self.recipe.total_images, self.state.images_seen)

    def _play(self, monitor: Monitor, interrupts: Interrupts) -> None:
        if self.state.steps == 0:
            self.saves.save()
        while not self.is_over:
            before = self.state.images_seen
            self.turn()
            self.keep_up(monitor, before)
            wanted = self.processes.any(wish=interrupts.wanted)
            if wanted and not self.is_over:  # at the end, the end is nearer than a stop
                self.save(monitor)
                monitor.animate()
                raise KeyboardInterrupt
        self._finish(monitor)

    def turn(self) -> None:
        """Play one turn: D's steps, one of G, and one of G's average towards it.

        Alternating steps are algorithm 1 of Goodfellow et al. 2014; the average is what is drawn from.
        """
        state, recipe, game = self.state, self.recipe, self.game
        started, before = time.monotonic(), state.images_seen
        state.set_learning_rates(recipe)
        for _ in range(recipe.discriminator_steps):
            d_loss, real, fake = game.discriminator_step()
            state.images_seen += recipe.batch_size
        g_loss = game.generator_step()
        beta = ema_beta(recipe.averaging, state.images_seen - before, state.images_seen)
        update_average(state.averaged, state.generator, beta)
        state.steps += 1
        state.figures.add(d_loss=d_loss, g_loss=g_loss, d_real=real.mean(), d_fake=fake.mean())
        state.wall_time_s += time.monotonic() - started

    def keep_up(self, monitor: Monitor, before: int) -> None:
        """Do what has come due since ``before`` images were seen: report, draw, examine, save."""
        config, now = self.config, self.state.images_seen

        def due(every_kimg: float) -> bool:
            every = every_kimg * 1000
            return now // every > before // every

        monitor.advance(now - before)
        self.doctor.watch_turn(self.state)
        if due(config.log_every_kimg):
            self._report(monitor)
        if due(config.sample_every_kimg):
            monitor.sample(now, self.sampler)
        if due(config.check_every_kimg):
            self.care.look(monitor)  # after the grid, as the run may end here; before it is saved
        if due(config.checkpoint_every_kimg):
            self.save(monitor)

    def _finish(self, monitor: Monitor) -> None:
        """Do at the end what did not happen to be due there."""
        now = self.state.images_seen
        if self.state.figures:
            self._report(monitor)
        if not self.run.grid_file(now).exists():
            monitor.sample(now, self.sampler)
        if self.doctor.last_check != now:
            self.care.look(monitor)
        self.save(monitor)  # last: a run that has this checkpoint has all the rest
        monitor.animate()

    def save(self, monitor: Monitor) -> None:
        """Save the whole state, after the figures that it takes for written."""
        monitor.sync()
        self.saves.save()

    def _report(self, monitor: Monitor) -> None:
        """Write the means of what was measured since the last report."""
        state = self.state
        self.saves.require_finite()
        wall_time_s = round(state.wall_time_s, 3)
        monitor.report(state.images_seen, state.figures.means(), steps=state.steps, wall_time_s=wall_time_s)
        state.figures.clear()
