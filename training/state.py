"""All that changes while training: what a checkpoint holds, and how it is taken up again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from training.config import RunConfig
from training.distributed import Processes
from training.errors import RunError
from training.figures import Figures
from training.networks import Discriminator, Generator, GeneratorSpec, build_networks
from training.part_config import Adam, Optimiser, RmsProp
from training.recipe_config import Recipe
from training.whole_batch import see_whole_batches

_CHECKPOINT_FORMAT = 1


def _optimiser(config: Optimiser, network: torch.nn.Module) -> torch.optim.Optimizer:
    match config:
        case Adam():
            betas = (config.beta1, config.beta2)
            return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=betas, fused=True)
        case RmsProp():
            return torch.optim.RMSprop(
                network.parameters(), lr=config.learning_rate, alpha=config.smoothing, foreach=True
            )


def _lay_out(network: torch.nn.Module, memory_format: torch.memory_format) -> None:
    """Lay the weights of convolutions out in memory as images are; nothing changes but the speed."""
    network.to(memory_format=memory_format)  # type: ignore[call-overload] # torch forgot it


def _lay_out_as_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Lay an optimiser's tensors out in memory as the parameters are.

    Fused steps walk through both side by side; those of a checkpoint lie as they did when it was written.
    """
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(value)


@dataclass
class State:
    """All that changes while training: what a checkpoint holds."""

    generator: Generator
    averaged: Generator
    discriminator: Discriminator
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    random: torch.Generator
    figures: Figures = field(default_factory=Figures)
    images_seen: int = 0
    steps: int = 0
    wall_time_s: float = 0.0

    @classmethod
    def fresh(
        cls,
        config: RunConfig,
        spec: GeneratorSpec,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
        processes: Processes | None = None,
    ) -> State:
        """Build untrained players from the run's seed, the same in every process."""
        torch.manual_seed(config.seed)
        pair = build_networks(config.recipe.networks, spec)
        for network in (pair.generator, pair.discriminator):
            see_whole_batches(network, processes or Processes())
            _lay_out(network, memory_format)
        generator, discriminator = pair.generator.to(device), pair.discriminator.to(device)
        return cls(
            generator=generator,
            averaged=copy.deepcopy(generator).requires_grad_(False),  # noqa: FBT003 - torch's signature
            discriminator=discriminator,
            generator_optimiser=_optimiser(config.recipe.generator_optimiser, generator),
            discriminator_optimiser=_optimiser(config.recipe.discriminator_optimiser, discriminator),
            random=torch.Generator(device).manual_seed(config.seed),
        )

    def set_learning_rates(self, recipe: Recipe) -> None:
        """Have the optimisers step at the recipe's rates, as far as these have decayed by now."""
        share = recipe.learning_rate_share(self.images_seen)
        for optimiser, config in (
            (self.generator_optimiser, recipe.generator_optimiser),
            (self.discriminator_optimiser, recipe.discriminator_optimiser),
        ):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * share

    def _modules(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "averaged": self.averaged,
            "discriminator": self.discriminator,
            "generator_optimiser": self.generator_optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
        }

    def save(self) -> dict[str, Any]:
        """Return tensors and plain data from which :meth:`load` restores everything."""
        return {
            "format": _CHECKPOINT_FORMAT,
            **{name: module.state_dict() for name, module in self._modules().items()},
            "figures": self.figures.state_dict(),
            "device": self.random.device.type,
            **self.random_states(),
            "images_seen": self.images_seen,
            "steps": self.steps,
            "wall_time_s": self.wall_time_s,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over a saved state; raises ``RunError`` if it belongs to other settings."""
        device = self.random.device
        if saved.get("device") != device.type:
            raise RunError(
                f"the run was trained on {saved.get('device')}; it goes on only there, not on {device}"
            )
        with _fitting(saved):
            for name, module in self._modules().items():
                module.load_state_dict(saved[name])
            for optimiser in (self.generator_optimiser, self.discriminator_optimiser):
                _lay_out_as_parameters(optimiser)
            self.figures.load_state_dict(saved["figures"], device)
            self.set_random_states(saved)
            self._load_counters(saved)

    def random_states(self) -> dict[str, Any]:
        """Return where every source of random numbers stands, for :meth:`set_random_states`."""
        cuda = self.random.device.type == "cuda"
        return {
            "random": self.random.get_state(),
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state() if cuda else None,
        }

    def set_random_states(self, saved: dict[str, Any]) -> None:
        """Set every source of random numbers back to where it stood."""
        self.random.set_state(saved["random"])
        torch.set_rng_state(saved["torch_random"])
        if self.random.device.type == "cuda":
            torch.cuda.set_rng_state(saved["cuda_random"])

    def load_averaged(self, saved: dict[str, Any]) -> None:
        """Take over what drawing needs, on whatever device; raises ``RunError`` if it does not fit."""
        with _fitting(saved):
            self.averaged.load_state_dict(saved["averaged"])
            self._load_counters(saved)

    def _load_counters(self, saved: dict[str, Any]) -> None:
        self.images_seen = saved["images_seen"]
        self.steps = saved["steps"]
        self.wall_time_s = saved["wall_time_s"]


@contextmanager
def _fitting(saved: dict[str, Any]) -> Iterator[None]:
    """Turn whatever a checkpoint of another trainer or other settings brings about into ``RunError``."""
    if saved.get("format") != _CHECKPOINT_FORMAT:
        raise RunError("the checkpoint was written by another version of the trainer")
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"the checkpoint does not fit the run's configuration: {error}") from error
