"""From a checkpoint to a model directory, through the parity gate: it cannot lie."""

from __future__ import annotations

from training.export.publication import ExportRequest, Finished, export, publish

__all__ = ["ExportRequest", "Finished", "export", "publish"]
