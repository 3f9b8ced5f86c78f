"""What a generator's draws are worth, measured without downloads and beside reference rows."""

from __future__ import annotations

from training.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
