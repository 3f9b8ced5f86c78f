"""One TensorBoard event file of a run, written in step with it.

TensorBoard's own writer buffers for minutes in a thread: a kill would cost what the run goes on from, and
a full disk would end in that thread's stack trace.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import image, scalar

from training.storage import Appender


class Board:
    """A new event file beside those of the run's earlier sessions."""

    def __init__(self, folder: Path, images_seen: int) -> None:
        """Begin the file; TensorBoard then forgets what earlier sessions wrote later than ``images_seen``."""
        # TensorBoard reads files in the order of their names; two may begin in the same second.
        session = len(list(folder.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(time.time()):010d}.{session:06d}.{os.getpid()}"
        self._records = RecordWriter(Appender(folder / name))
        self._write(file_version="brain.Event:2")
        self._write(step=images_seen + 1, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, images_seen: int, values: dict[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._write(step=images_seen, summary=scalar(name, value))

    def picture(self, images_seen: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Add an image, uint8 ``[H, W]`` or ``[H, W, C]``."""
        layout = "HW" if pixels.ndim == 2 else "HWC"
        self._write(step=images_seen, summary=image(name, pixels, dataformats=layout))

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _write(self, **event: Any) -> None:  # noqa: ANN401 - an event's fields
        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())
