"""One check of a run: measures both networks beside real samples, and leaves no trace in the training.

The discriminator is looked at in a copy, with a random generator of its own, so that neither its running
statistics nor the training's random numbers move.

Shapes: N rows, P principal axes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.augment import augment
from training.data.dataset import Part
from training.doctor import measures
from training.doctor.reference import Crowd, Reference
from training.doctor.space import Float
from training.losses import build_loss
from training.networks import Discriminator, Generator
from training.recipe_config import Recipe
from training.sampling import finish
from training.shards import Draws as RandomDraws

_CHUNK = 64
"""Rows at a time, so that large images fit; a batch norm in D sees this many at least."""


@dataclass(frozen=True)
class Draws:
    """What a generator drew: as D sees it, and its places; these are None if a value is no number."""

    samples: Tensor
    places_NP: Float | None


@torch.no_grad()
def draw(generator: Generator, reference: Reference) -> Draws:
    """Draw the reference's latents in evaluation mode."""
    device = next(generator.parameters()).device
    was_training = generator.training
    generator.eval()
    weights = reference.weights(reference.labels_N, device)
    pieces = []
    for some in np.array_split(
        np.arange(len(reference.latent_ND)), max(1, len(reference.latent_ND) // _CHUNK)
    ):
        chosen = torch.from_numpy(some)
        of_class = None if weights is None else weights[chosen.to(device)]
        pieces.append(generator(reference.latent_ND[chosen].to(device), of_class).float())
    generator.train(was_training)
    samples = torch.cat(pieces)
    if not bool(torch.isfinite(samples).all()):
        return Draws(samples, None)
    return Draws(samples, reference.space.place(finish(samples.cpu().numpy(), reference.spec)))


class Judge:
    """A copy of D as it is while training, but for dropout: scores that are D's own and do not flicker."""

    def __init__(
        self, discriminator: Discriminator, recipe: Recipe, instance_noise: float, seed: int
    ) -> None:
        self._network = copy.deepcopy(discriminator).train()
        for module in self._network.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):  # noqa: SLF001 - all dropouts' base class
                module.eval()
        self._recipe, self._instance_noise = recipe, instance_noise
        self.device = next(discriminator.parameters()).device
        self._random = torch.Generator(self.device).manual_seed(seed)

    @torch.no_grad()
    def scores(self, samples: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return scores ``[N]`` and, of a D that tells classes, logits ``[N, K]``, seen as in training."""
        seen = augment(samples, self._recipe.augmentation, RandomDraws(self._random))
        if self._instance_noise:
            noise = torch.randn(seen.shape, generator=self._random, device=seen.device)
            seen = seen + self._instance_noise * noise
        pieces = max(1, len(seen) // max(self._recipe.batch_size, _CHUNK))
        of_class = [None] * pieces if weights is None else torch.tensor_split(weights, pieces)
        verdicts = [
            self._network(some, label)
            for some, label in zip(torch.tensor_split(seen, pieces), of_class, strict=True)
        ]
        logits = None
        if verdicts[0].class_logits is not None:
            logits = torch.cat([verdict.class_logits.float() for verdict in verdicts])
        return torch.cat([verdict.scores.float() for verdict in verdicts]), logits


def rank_signals(judge: Judge, reference: Reference, draws: Draws, recipe: Recipe) -> dict[str, Any]:
    """Measure what D can tell: drawn from real, known from unknown, right label from wrong."""
    known, held_out = reference.known, reference.held_out
    weights = reference.weights(reference.labels_N, judge.device)
    real, _ = _scores_of(judge, reference, known.part, known.labels_N)
    drawn, _ = judge.scores(draws.samples, weights)
    found: dict[str, Any] = {"finite": bool(torch.isfinite(torch.cat([real, drawn])).all())}
    if not found["finite"]:
        return found
    found["auc_drawn"] = measures.auc(_array(real), _array(drawn))
    found["g_slope"], found["d_slope"] = slopes(recipe, drawn, real)
    if len(held_out) < 2:
        return found
    unknown, logits = _scores_of(judge, reference, held_out.part, held_out.labels_N)
    found["auc_held_out"] = measures.auc(_array(real), _array(unknown))
    found["auc_held_out_error"] = measures.auc_error(len(known), len(held_out))
    if weights is not None:
        found["auc_label"] = _auc_label(judge, reference, unknown, logits)
    return found


def _scores_of(
    judge: Judge, reference: Reference, part: Part, labels_N: NDArray[np.int64]
) -> tuple[Tensor, Tensor | None]:
    samples = reference.tensor(part, judge.device)
    return judge.scores(samples, reference.weights(labels_N, judge.device))


def _auc_label(judge: Judge, reference: Reference, own: Tensor, logits: Tensor | None) -> float:
    """Compare held-out samples under their own label with the same under another row's.

    Rows stand in order of their class, so that half a turn away lies another class.
    """
    labels = reference.held_out.labels_N
    other = np.roll(labels, len(labels) // 2)
    if logits is not None:
        rows = torch.arange(len(labels))
        mine, others = (logits[rows, torch.from_numpy(some).to(logits.device)] for some in (labels, other))
        return measures.auc(_array(mine - others), _array(others - mine))
    wrong, _ = _scores_of(judge, reference, reference.held_out.part, other)
    return measures.auc(_array(own), _array(wrong))


def slopes(recipe: Recipe, drawn: Tensor, real: Tensor) -> tuple[float, float]:
    """Return the mean sizes of the derivatives of G's and of D's loss by each score, at most 1.

    They say what a loss still teaches, whichever it is. G's: 1 for hinge and Wasserstein, sigmoid(-D) for the
    non-saturating game, sigmoid(D) for minimax, |D - 1| for least squares, sigmoid(real - drawn) for pairs.
    D's: the share inside the margin for hinge, 1 for Wasserstein, how wrong D is for the others.
    """
    count = min(len(drawn), len(real))
    of_drawn, of_real = (scores[:count].clone().requires_grad_() for scores in (drawn, real))
    loss = build_loss(recipe.loss, recipe.label_smoothing)
    with torch.enable_grad():
        g_loss = loss.generator(of_drawn, of_real.detach)
        d_loss = loss.discriminator(of_real, of_drawn)
    [by_g] = torch.autograd.grad(g_loss * count, of_drawn)
    by_d = torch.cat(torch.autograd.grad(d_loss * count, [of_real, of_drawn]))
    return min(1.0, float(by_g.abs().mean())), min(1.0, float(by_d.abs().mean()))


def crowd_signals(reference: Reference, places_NP: Float, before_NP: Float | None) -> dict[str, float]:
    """Measure the crowd of draws beside crowds of real samples."""
    anchors, others, labels = reference.anchors, reference.others, reference.labels_N
    found = {
        "real_spread": reference.spread,
        "real_dimension": reference.dimension,
        "nearest": _over(measures.nearest(places_NP, reference.train_places_NP), reference.nearest),
        "distance_raw": distance(reference, places_NP),
        "spread": _over(measures.spread(places_NP), reference.spread),
        "dimension": _over(measures.dimension(places_NP, labels), reference.dimension),
    }
    if len(others):
        found["coverage"] = _over(
            measures.coverage(places_NP[: len(others)], anchors.places_NP),
            measures.coverage(others.places_NP, anchors.places_NP),
        )
    if before_NP is not None and before_NP.shape == places_NP.shape:
        moved = float(np.linalg.norm(places_NP - before_NP, axis=1).mean())
        found["motion"] = _over(moved, reference.spread)
    if reference.spec.classes is not None:
        found |= _class_signals(anchors, others, places_NP, labels)
    if reference.reader is not None:
        found |= _reader_signals(reference, places_NP)
    return found


def _over(value: float, real: float) -> float:
    return value / max(real, 1e-9)


def _class_signals(
    anchors: Crowd, others: Crowd, places_NP: Float, labels_N: NDArray[np.int64]
) -> dict[str, float]:
    spreads, covered = [], []
    for label in np.unique(labels_N):
        drawn = places_NP[labels_N == label]
        real, more = (crowd.places_NP[crowd.labels_N == label] for crowd in (anchors, others))
        if min(len(drawn), len(real), len(more)) < 4:
            continue
        spreads.append(_over(measures.spread(drawn), measures.spread(real)))
        like_more = drawn[: len(more)]
        covered.append(_over(measures.coverage(like_more, real), measures.coverage(more, real)))
    if not spreads:
        return {}
    return {
        "spread_in_class": float(np.mean(spreads)),
        "spread_worst": min(spreads),
        "coverage_worst": min(covered),
    }


def _reader_signals(reference: Reference, places_NP: Float) -> dict[str, float]:
    assert reference.reader is not None, "there are classes to read"
    held_out = reference.held_out
    read = reference.reader.read(places_NP)
    found: dict[str, float] = {}
    if len(held_out):
        as_real = reference.reader.read(held_out.places_NP)
        found["classes_drawn"] = _over(measures.variety(read), measures.variety(as_real))
        found["agreement_held_out"] = float((as_real == held_out.labels_N).mean())
        shares = np.bincount(held_out.labels_N) / len(held_out)
        found["agreement_chance"] = float(shares.max())
        found["agreement_error"] = float(np.sqrt(shares.max() * (1.0 - shares.max()) / len(held_out)))
    if reference.spec.classes is not None:
        found["agreement"] = float((read == reference.labels_N).mean())
    return found


def distance(reference: Reference, places_NP: Float) -> float:
    """Return the energy distance of draws from real samples, inside each class where classes are drawn."""
    real = reference.anchors
    if reference.spec.classes is None:
        return measures.energy_distance(places_NP, real.places_NP)
    found = []
    for label in np.unique(reference.labels_N):
        drawn, of_class = places_NP[reference.labels_N == label], real.places_NP[real.labels_N == label]
        if min(len(drawn), len(of_class)) >= 4:
            found.append(measures.energy_distance(drawn, of_class))
    return float(np.mean(found)) if found else measures.energy_distance(places_NP, real.places_NP)


def _array(scores: Tensor) -> Float:
    return scores.detach().cpu().numpy().astype(np.float64)
