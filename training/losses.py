"""The games that the two networks play: one tiny class a loss, each on raw scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from training.part_config import LossName

RealScores = Callable[[], Tensor]


class Loss(Protocol):
    """A pair of losses on scores ``[N]``: raw logits, higher for real."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        ...

    def generator(self, fake: Tensor, real: RealScores) -> Tensor:
        """Return what the generator minimises; ``real`` gives real samples' scores, where one compares."""
        ...


class Hinge:
    """Margins of one on either side (Lim and Ye 2017; Tran et al. 2017)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        return functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()

    def generator(self, fake: Tensor, _real: RealScores | None = None) -> Tensor:
        """-E[D(G(z))]."""
        return -fake.mean()


class CrossEntropy:
    """D's side of the cross-entropy games, with the target of real samples at 1 - ``smoothing``.

    One-sided label smoothing (Salimans et al. 2016, 3.4): smoothing the targets of drawn samples too would
    reward D for calling real what lies where G is and data is not.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        self._smoothing = smoothing

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[(1-s) log sigmoid(D(x)) + s log(1 - sigmoid(D(x)))] - E[log(1 - sigmoid(D(G(z))))]."""
        # softplus(-x) + s x is -(1-s) log sigmoid(x) - s log(1 - sigmoid(x)).
        smoothed = functional.softplus(-real) + self._smoothing * real
        return smoothed.mean() + functional.softplus(fake).mean()


class Minimax(CrossEntropy):
    """The game as it is defined: G minimises log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""

    def generator(self, fake: Tensor, _real: RealScores | None = None) -> Tensor:
        """E[log(1 - sigmoid(D(G(z))))]: flat where D is sure, which is why few play it."""
        return -functional.softplus(fake).mean()


class Wasserstein:
    """The difference of the critic's means (Arjovsky et al. 2017); it must be kept from growing elsewhere."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[D(G(z))] - E[D(x)]."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, _real: RealScores | None = None) -> Tensor:
        """-E[D(G(z))]."""
        return -fake.mean()


class LeastSquares:
    """Distances to the targets 1 and 0 (Mao et al. 2017, equation 9)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """½ E[(D(x) - 1)²] + ½ E[D(G(z))²]."""
        return 0.5 * (real - 1.0).square().mean() + 0.5 * fake.square().mean()

    def generator(self, fake: Tensor, _real: RealScores | None = None) -> Tensor:
        """½ E[(D(G(z)) - 1)²]."""
        return 0.5 * (fake - 1.0).square().mean()


class Relativistic:
    """Each drawn sample against a real one, asking who looks more real (Jolicoeur-Martineau 2018).

    The pairing of Huang et al. 2024, equation 2: every real sample is a sample's reference, so that no mode
    can be left out at no cost.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[log sigmoid(D(x) - D(G(z)))]."""
        return functional.softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: RealScores) -> Tensor:
        """-E[log sigmoid(D(G(z)) - D(x))]."""
        return functional.softplus(real() - fake).mean()


class NonSaturating(CrossEntropy):
    """Cross-entropy, G maximising log D(G(z)) (Goodfellow et al. 2014, section 3)."""

    def generator(self, fake: Tensor, _real: RealScores | None = None) -> Tensor:
        """-E[log sigmoid(D(G(z)))]."""
        return functional.softplus(-fake).mean()


def build_loss(name: LossName, smoothing: float = 0.0) -> Loss:
    """Return the loss that a recipe names."""
    match name:
        case "hinge":
            return Hinge()
        case "minimax":
            return Minimax(smoothing)
        case "non-saturating":
            return NonSaturating(smoothing)
        case "wasserstein":
            return Wasserstein()
        case "least-squares":
            return LeastSquares()
        case "relativistic":
            return Relativistic()
