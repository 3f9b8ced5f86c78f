"""The games that the two networks play: one tiny class a loss, each on raw scores."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor
from torch.nn import functional


class Loss(Protocol):
    """A pair of losses on scores ``[N]``: raw logits, higher for real."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        ...

    def generator(self, fake: Tensor) -> Tensor:
        """Return what the generator minimises."""
        ...


class Hinge:
    """Margins of one on either side (Lim and Ye 2017; Tran et al. 2017)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        return functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """-E[D(G(z))]."""
        return -fake.mean()


class NonSaturating:
    """Cross-entropy, G maximising log D(G(z)) (Goodfellow et al. 2014, section 3)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[log sigmoid(D(x))] - E[log(1 - sigmoid(D(G(z))))]."""
        return functional.softplus(-real).mean() + functional.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """-E[log sigmoid(D(G(z)))]."""
        return functional.softplus(-fake).mean()


def build_loss(name: Literal["hinge", "non-saturating"]) -> Loss:
    """Return the loss that a recipe names."""
    match name:
        case "hinge":
            return Hinge()
        case "non-saturating":
            return NonSaturating()
