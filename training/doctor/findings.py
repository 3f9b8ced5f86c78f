"""What the doctor can find: the names of failures, and a finding with its evidence and remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Failure(StrEnum):
    """The known ways in which training fails, the ones that explain others first."""

    NON_FINITE = "non-finite values"
    NO_VARIETY = "data without variety"
    GENERATOR_STILL = "generator stands still"
    DISCRIMINATOR_STILL = "discriminator stands still"
    LABELS_SAY_NOTHING = "labels carry no information"
    DISCRIMINATOR_OVERFITS = "discriminator overfits"
    DISCRIMINATOR_TOO_STRONG = "discriminator too strong"
    DISCRIMINATOR_BLIND = "discriminator tells nothing"
    CONVERGENCE_FAILURE = "convergence failure"
    OSCILLATION = "oscillation"
    LABEL_IGNORED = "label ignored"
    MODE_COLLAPSE = "mode collapse"
    CLASS_COLLAPSE = "collapse inside classes"


@dataclass(frozen=True)
class Finding:
    """A failure, the figures that show it, and the settings to try."""

    failure: Failure
    evidence: str
    remedy: str

    def text(self) -> str:
        """Return it as a person reads it, in three lines."""
        return f"{self.failure.value}\n  seen: {self.evidence}\n  try:  {self.remedy}"

    def document(self) -> dict[str, Any]:
        """Return it as it stands in the log."""
        return {**asdict(self), "failure": self.failure.value}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Finding:
        """Take up a logged finding."""
        return cls(Failure(document["failure"]), document["evidence"], document["remedy"])
