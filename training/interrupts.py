"""Ctrl-C, SIGTERM and a closed terminal as a wish that is granted between two steps, never inside one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 3
_STILL_SAVING = (
    b"\nstill saving; a third one stops at once, and loses what came after the newest checkpoint\n"
)


class Interrupts:
    """While entered, a signal sets :attr:`wanted`; the third one raises ``KeyboardInterrupt`` where it falls.

    A second Ctrl-C is often the same impatience as the first, and the wish it repeats takes a moment only.
    Signals that the process was started to ignore (``nohup``) stay ignored.
    """

    def __init__(self) -> None:
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}
        self._terminals: list[int] = []

    @property
    def wanted(self) -> bool:
        """Whether a signal came."""
        return self._count > 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._terminals = [number for number in (1, 2) if os.isatty(number)]
            heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if number == signal.SIGHUP:
            self._leave_terminals()
        if self._count >= _PATIENCE:
            raise KeyboardInterrupt
        if self._count > 1 and 2 in self._terminals:
            with suppress(OSError):
                os.write(2, _STILL_SAVING)

    def _leave_terminals(self) -> None:
        """Let output go nowhere that went to the terminal, which is gone: writing to it would fail."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in self._terminals:
            os.dup2(nowhere, number)
        os.close(nowhere)
        self._terminals = []


@contextmanager
def at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without a word while there is nothing to tidy up, as during imports."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if main and before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if main and before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
