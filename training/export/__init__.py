"""From a checkpoint to a model directory, through the parity gate: it cannot lie."""

from __future__ import annotations

from training.export.publication import ExportRequest, export

__all__ = ["ExportRequest", "export"]
