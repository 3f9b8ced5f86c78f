"""Names what goes wrong in a run while it goes on, and afterwards, with the evidence and a remedy."""

from __future__ import annotations

from training.doctor.diagnoses import diagnose, non_finite
from training.doctor.doctor import Check, Doctor
from training.doctor.findings import Failure, Finding
from training.doctor.signals import Signals

__all__ = ["Check", "Doctor", "Failure", "Finding", "Signals", "diagnose", "non_finite"]
