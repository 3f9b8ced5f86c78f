"""Lines on their way out: noted at once, made and written by a thread, a burst at a time.

Nobody waits for the reader of the log. While it is stuck, lines pile up to a bound; what comes then is
dropped and counted, and the first line that gets through says how many were lost.
"""

from __future__ import annotations

import os
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from service.logs.lines import MOST_BYTES, event_line

_BURST_S = 0.02
_MOST_LINES = 4096
_POLL_S = 0.2
_MAKE_AT_ONCE = 64

Make = Callable[[Any], bytes]


class LineWriter:
    """Writes lines to a file descriptor. Any thread may note one; a single thread writes."""

    def __init__(self, descriptor: int, *, as_text: bool, limit: int = _MOST_LINES) -> None:
        self.as_text = as_text
        self.dropped = 0
        """How many lines were lost and not told of yet."""
        self._descriptor = descriptor
        self._limit = limit
        self._begin_anew()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """Have no lines and no thread: at first, and in a forked child, whose parent writes its own."""
        self._noted: deque[tuple[Make, Any]] = deque()
        self._due = threading.Event()
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_writing = False

    def note(self, make: Make, value: object) -> None:
        """Have ``make(value)``, a line with its end, written soon; or drop it, if too many wait."""
        if len(self._noted) >= self._limit:
            self.dropped += 1
            return
        self._noted.append((make, value))
        if not self._due.is_set():
            self._wake()

    def write(self, text: str) -> int:
        """Have a line written soon that is made already; a stream's ``write``."""
        self.note(_encoded, text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: a stream's ``flush``, for who takes this for one."""

    def drain(self, timeout_s: float) -> bool:
        """Return once all that was noted is written, or after so long; tell which."""
        if self._thread is None:
            return True
        patience = time.monotonic() + timeout_s
        self._hurry.set()
        self._due.set()
        while self._noted or self._is_writing:
            if time.monotonic() > patience:
                return False
            time.sleep(0.002)
        return True

    def _wake(self) -> None:
        with self._starting:
            self._due.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="forger-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._hurry.wait(_BURST_S)
            self._is_writing = True
            self._hurry.clear()
            self._due.clear()
            while self._noted:
                self._write_lines(self._next_lines())
            self._is_writing = False

    def _next_lines(self) -> list[bytes]:
        lines = []
        if self.dropped:
            lost, self.dropped = self.dropped, 0
            lines.append(
                event_line(time.time(), "WARNING", "log-lines-lost", {"lines": lost}, as_text=self.as_text)
            )
        for _ in range(min(_MAKE_AT_ONCE, len(self._noted))):
            make, value = self._noted.popleft()
            try:
                lines.append(make(value))
            except Exception as error:  # noqa: BLE001 - one bad line must not silence all others
                why = "".join(traceback.format_exception_only(error)).strip()
                fault = {"message": f"a line could not be made: {why}"}
                lines.append(event_line(time.time(), "ERROR", "log-fault", fault, as_text=self.as_text))
        return lines

    def _write_lines(self, lines: list[bytes]) -> None:
        """Write whole lines, as many at a time as a pipe takes at once."""
        piece, count = b"", 0
        for line in lines:
            if piece and len(piece) + len(line) > MOST_BYTES:
                self._write_piece(piece, count)
                piece, count = b"", 0
            piece += line
            count += 1
        self._write_piece(piece, count)

    def _write_piece(self, piece: bytes, lines: int) -> None:
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], _POLL_S)
            except OSError:
                self.dropped += lines
                return


def _encoded(text: str) -> bytes:
    return text.encode("ascii", "backslashreplace")
