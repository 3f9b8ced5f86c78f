"""Plain training loops for two recipes, as one would write them by hand for one experiment.

They take nothing of the trainer but the networks and the numbers in the recipe: no configuration, no log, no
checkpoint, no doctor. What the trainer's services cost is measured against them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data import Dataset
from training.networks import GeneratorSpec, build_networks
from training.part_config import Adam
from training.recipe_config import Recipe


class PlainLoop:
    """Networks, optimisers, averaged weights and data of a recipe; ``play`` yields after every step."""

    def __init__(
        self,
        recipe: Recipe,
        spec: GeneratorSpec,
        dataset: Dataset,
        device: torch.device,
        memory_format: torch.memory_format,
    ) -> None:
        torch.manual_seed(0)
        pair = build_networks(recipe.networks, spec)
        self.recipe, self.device = recipe, device
        self.generator = pair.generator.to(device).to(memory_format=memory_format)
        self.discriminator = pair.discriminator.to(device).to(memory_format=memory_format)
        self.averaged = copy.deepcopy(self.generator)
        self.g_optimiser = _adam(recipe.generator_optimiser, self.generator)
        self.d_optimiser = _adam(recipe.discriminator_optimiser, self.discriminator)
        part = dataset.part(held_out=False)
        images = torch.from_numpy(part.samples).permute(0, 3, 1, 2)
        self.images = images.contiguous(memory_format=memory_format).to(device)
        self.labels = None
        if spec.classes is not None:
            self.labels = functional.one_hot(torch.from_numpy(part.labels), spec.classes).float().to(device)

    def play(self) -> Iterator[int]:
        """Train for ever; yield how many real images each step saw."""
        step = {"default": self._default_step, "dcgan": self._dcgan_step}[self.recipe.name]
        rows = self.recipe.batch_size
        while True:
            order = torch.randperm(len(self.images), device=self.device)
            for batch in order[: len(order) // rows * rows].split(rows):
                step(batch)
                self._average()
                yield rows

    def _real(self, batch: Tensor) -> Tensor:
        return self.images[batch].float().div_(127.5).sub_(1.0)

    def _label(self, rows: Tensor) -> Tensor | None:
        return None if self.labels is None else self.labels[rows]

    def _default_step(self, batch: Tensor) -> None:
        """Hinge, both kinds in one batch, shifted by a few pixels."""
        rows, recipe = len(batch), self.recipe
        others = torch.randint(len(self.images), (2, rows), device=self.device)
        real, real_label, fake_label = self._real(batch), self._label(batch), self._label(others[0])
        with torch.no_grad():
            fake = self.generator(torch.randn(rows, recipe.latent.dim, device=self.device), fake_label)
        label = None if real_label is None else torch.cat([real_label, fake_label])
        shown = shifted(torch.cat([real, fake]), recipe.augmentation.translation)
        of_real, of_fake = self.discriminator(shown, label).scores.chunk(2)
        d_loss = functional.relu(1.0 - of_real).mean() + functional.relu(1.0 + of_fake).mean()
        _descend(self.d_optimiser, d_loss)

        self.discriminator.requires_grad_(requires_grad=False)
        label = self._label(others[1])
        fake = self.generator(torch.randn(rows, recipe.latent.dim, device=self.device), label)
        shown = shifted(fake, recipe.augmentation.translation)
        _descend(self.g_optimiser, -self.discriminator(shown, label).scores.mean())
        self.discriminator.requires_grad_(requires_grad=True)

    def _dcgan_step(self, batch: Tensor) -> None:
        """Cross-entropy with smoothed targets of real images, each kind in a batch of its own."""
        rows, recipe = len(batch), self.recipe
        real = self._real(batch)
        with torch.no_grad():
            fake = self.generator(torch.rand(rows, recipe.latent.dim, device=self.device) * 2.0 - 1.0)
        of_real, of_fake = self.discriminator(real).scores, self.discriminator(fake).scores
        target = torch.full_like(of_real, 1.0 - recipe.label_smoothing)
        d_loss = functional.binary_cross_entropy_with_logits(of_real, target)
        d_loss = d_loss + functional.binary_cross_entropy_with_logits(of_fake, torch.zeros_like(of_fake))
        _descend(self.d_optimiser, d_loss)

        self.discriminator.requires_grad_(requires_grad=False)
        fake = self.generator(torch.rand(rows, recipe.latent.dim, device=self.device) * 2.0 - 1.0)
        scores = self.discriminator(fake).scores
        _descend(
            self.g_optimiser, functional.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        )
        self.discriminator.requires_grad_(requires_grad=True)

    @torch.no_grad()
    def _average(self) -> None:
        keep = 0.5 ** (self.recipe.batch_size / (self.recipe.averaging.halflife_kimg * 1000))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.generator.parameters()), 1.0 - keep)
        for old, new in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
            old.copy_(new)


def _adam(config: object, network: nn.Module) -> torch.optim.Optimizer:
    assert isinstance(config, Adam), "both recipes step by Adam"
    betas = (config.beta1, config.beta2)
    return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=betas, fused=True)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def shifted(images_NCHW: Tensor, share: float) -> Tensor:
    """Shift each image by whole pixels, up to ``share`` of its edge; its border is repeated."""
    rows, _, height, width = images_NCHW.shape
    margin_y, margin_x = int(height * share), int(width * share)
    device = images_NCHW.device
    padded = functional.pad(images_NCHW, (margin_x, margin_x, margin_y, margin_y), mode="replicate")
    y_NH = torch.randint(2 * margin_y + 1, (rows, 1), device=device) + torch.arange(height, device=device)
    x_NW = torch.randint(2 * margin_x + 1, (rows, 1), device=device) + torch.arange(width, device=device)
    row_N11 = torch.arange(rows, device=device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[row_N11, y_NH[:, :, None], x_NW[:, None, :]].permute(0, 3, 1, 2)


def require_as_written(recipe: Recipe) -> None:
    """Stop if a recipe is no longer what its plain loop plays."""
    played = {
        "default": ("hinge", False, 0.0, True),
        "dcgan": ("non-saturating", True, recipe.label_smoothing, False),
    }[recipe.name]
    facts = (
        recipe.loss,
        recipe.separate_batches,
        recipe.label_smoothing,
        bool(recipe.augmentation.translation),
    )
    others = (recipe.augmentation.cutout, recipe.augmentation.colour, recipe.augmentation.flip)
    if facts != played or any(others) or recipe.penalties.on_gradients or recipe.discriminator_steps != 1:
        raise SystemExit(f"{recipe.name} has changed: bring its plain loop up to date first")
