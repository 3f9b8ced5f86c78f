"""Where a bulk run writes to, by a word and a path, such as ``npz:out.npz``."""

from __future__ import annotations

from forger.bulk.sinks.choice import KINDS, sink_of
from forger.bulk.sinks.sink import Sink

__all__ = ["KINDS", "Sink", "sink_of"]
