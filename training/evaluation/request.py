"""What is to be judged: how many draws, of which seed, by which weights, how truncated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from contract.latents import Truncation
from training.errors import ConfigError

Weights = Literal["averaged", "raw"]
Cas = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class Request:
    """One evaluation; the same request of the same generator gives the same report.

    ``images`` is how many samples are drawn and judged, as many as are held out if None. ``cas``
    is whether a classifier is trained on draws: ``auto`` trains one where that takes minutes, not
    hours. ``inception`` is a TorchScript file of Inception's features, for the standard FID.
    """

    seed: int = 0
    images: int | None = None
    weights: Weights = "averaged"
    truncation: Truncation | None = None
    cas: Cas = "auto"
    inception: Path | None = None

    @property
    def truncation_text(self) -> str | None:
        """The truncation as the command line spells it, ``threshold:1.5``, or None."""
        if self.truncation is None:
            return None
        return f"{self.truncation.mode.value}:{self.truncation.value}"


def parse_truncation(text: str) -> Truncation:
    """Parse ``threshold:1.5`` or ``scale:0.7``; raises ``ConfigError`` saying what is allowed."""
    mode, _, value = text.partition(":")
    try:
        return Truncation.model_validate({"mode": mode, "value": float(value)})
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--truncation {text!r}: {reason}; give threshold:1.5 or scale:0.7") from error
    except ValueError as error:
        raise ConfigError(f"--truncation {text!r} is none: give threshold:1.5 or scale:0.7") from error
