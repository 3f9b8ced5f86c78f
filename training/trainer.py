"""The one training loop: it plays whatever game a recipe names."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from training.batches import Batches
from training.checkpoint import checkpoints, go_back, load_newest, save_checkpoint, set_later_aside
from training.config import RunConfig
from training.data import Dataset
from training.distributed import Processes
from training.doctor import Check, Doctor, Failure, Finding, non_finite
from training.ema import ema_beta, update_average
from training.errors import ConfigError, Failing, TrainingError
from training.game import Game, dealt
from training.interrupts import Interrupts
from training.monitor import Monitor, SilentMonitor
from training.networks import GeneratorSpec
from training.part_config import Augmentation
from training.placement import memory_format_of
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
        self._memory_format = memory_format_of(self.spec.output)
        self.state = State.fresh(config, self.spec, device, self._memory_format, self.processes)
        self.total_images = round(self.recipe.total_kimg * 1000)
        self.doctor = Doctor(self.recipe, dataset, self.spec, self.total_images)

    @cached_property
    def batches(self) -> Batches:
        """The training samples on the device; drawing and exporting never ask for them."""
        part = self._dataset.part(held_out=False)
        return Batches(part, self.spec.classes, self.config.seed, self._device, self._memory_format)

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
            self.take_up(saved)
            set_later_aside(folder, path)

    def take_up(self, saved: dict[str, Any]) -> None:
        """Be where a checkpoint was; raises ``RunError`` if it is of other settings or another device."""
        self.state.load(saved)
        if "doctor" in saved:  # checkpoints from before there was a doctor have none
            self.doctor.load_state_dict(saved["doctor"])

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
        ``KeyboardInterrupt``. ``Failing`` is raised where the doctor names a failure and the run is to end
        for one.
        """
        state = self.state
        with Interrupts() as interrupts, self._monitor() as monitor:
            if state.steps == 0:
                self.checkpoint()
            try:
                self._play(monitor, interrupts)
            except Diverged as error:
                self._note_divergence(monitor, error)
                raise

    def _play(self, monitor: Monitor, interrupts: Interrupts) -> None:
        state = self.state
        while state.images_seen < self.total_images:
            self._step(monitor)
            wanted = self.processes.any(wish=interrupts.wanted)
            if wanted and state.images_seen < self.total_images:  # at the end, the end is nearer than a stop
                self._save(monitor)
                monitor.animate()
                raise KeyboardInterrupt
        if state.figures:
            self._report(monitor)
        if self.doctor.last_check != state.images_seen:
            self._examine(monitor)
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
        self._save_in(self.run.checkpoints)

    def _save_in(self, folder: Path) -> None:
        self._require_finite()

        def save() -> None:
            folder.mkdir(exist_ok=True)  # a run from before there was a doctor has none for the best
            whole = {**self.state.save(), "doctor": self.doctor.state_dict()}
            save_checkpoint(folder, self.state.images_seen, whole)

        self.processes.by_first(save)

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

        self.doctor.watch_turn(self.state)
        if due(config.log_every_kimg):
            self._report(monitor)
        if due(config.check_every_kimg):
            self._examine(monitor)
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

    def examine(self) -> Check:
        """Let the doctor look at the run as it is."""
        return self.doctor.check(self.state, self._rate)

    def _examine(self, monitor: Monitor) -> None:
        """Let the doctor look; keep the state if it is the best so far, and act on what was found.

        Every process looks, as batch norm takes them all, and heeds what the first one saw: rounding must
        not have one go on where another stops.
        """
        check = self.processes.of_first(self.examine())
        numbers, facts = check.signals.numbers(), check.document()
        monitor.record_check(self.state.images_seen, numbers, steps=self.state.steps, **facts)
        if check.is_best:
            self._save_in(self.run.best)
        if check.new:
            self._note(monitor, check.new)

    def _note_divergence(self, monitor: Monitor, error: Diverged) -> None:
        finding = non_finite(self.recipe, str(error))
        document = finding.document()
        monitor.record_check(self.state.images_seen, {}, findings=[document], new=[document["failure"]])
        self._note(monitor, [finding])

    def _note(self, monitor: Monitor, findings: list[Finding]) -> None:
        """Say what was found; end the run if it is to end for it."""
        now, policy = self.state.images_seen, self.config.on_failure
        for finding in findings:
            monitor.say(f"the doctor, after {now:,} images: {finding.text()}")
        names = ", ".join(finding.failure.value for finding in findings)
        if policy == "stop":
            if not any(finding.failure is Failure.NON_FINITE for finding in findings):
                self._save(monitor)
            raise Failing(f"{names} after {now:,} images; {self.run.path} was stopped, and --resume goes on")
        if policy == "rollback":
            raise Failing(f"{names} after {now:,} images; {self._roll_back(monitor)}")

    def _roll_back(self, monitor: Monitor) -> str:
        """Make the best state the newest checkpoint, take it up, and say so."""
        failed_at = self.state.images_seen
        if not checkpoints(self.run.best):
            return f"{self.run.path} has no best state yet to go back to"
        path, saved = load_newest(self.run.best)
        self.take_up(saved)
        self.processes.by_first(lambda: go_back(self.run.checkpoints, path))
        monitor.record_check(failed_at, {}, rolled_back_to=self.state.images_seen)
        return (
            f"{self.run.path} went back to its best averaged weights, those after {self.state.images_seen:,}"
        )

    @property
    def _rate(self) -> float:
        """The learning rates' present share of what the recipe says."""
        decay = self.recipe.learning_rate_decay
        left = 1.0 - self.state.images_seen / self.total_images
        return min(1.0, left / decay) if decay else 1.0

    def _set_learning_rates(self) -> None:
        recipe, factor = self.recipe, self._rate
        for optimiser, config in (
            (self.state.generator_optimiser, recipe.generator_optimiser),
            (self.state.discriminator_optimiser, recipe.discriminator_optimiser),
        ):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * factor
