"""What a generator's draws are worth, measured without downloads and beside reference rows."""

from __future__ import annotations

from training.evaluation.report import evaluate

__all__ = ["evaluate"]
