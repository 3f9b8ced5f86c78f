"""Ending a run early: its callers have left, or their time is up."""

from __future__ import annotations

import onnxruntime


class Halt:
    """For one run. ONNX Runtime looks at the flag between operators."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()

    def end(self) -> None:
        """End the run, from any thread; one that has not begun then ends at its first operator."""
        self.options.terminate = True
