"""How a process logs: every logger of every library through one handler, to stderr."""

from __future__ import annotations

import atexit
import logging
import sys

from service.logs.lines import LineFormatter
from service.logs.writer import LineWriter
from service.settings import Settings

_OTHERS = ("bentoml", "circus", "uvicorn", "uvicorn.error", "opentelemetry", "py.warnings")
_LAST_WORDS_S = 1.0

_writers: list[LineWriter] = []


class LineHandler(logging.Handler):
    """Hands lines to the writer."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self.setFormatter(LineFormatter(as_text=writer.as_text))
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Have the record's line written; whoever logs never fails by it."""
        try:
            self._writer.write(self.format(record) + "\n")
        except Exception as error:  # noqa: BLE001 - told in a line of its own
            self._writer.note(_fail, error)


def _fail(error: Exception) -> bytes:
    """Make no line, for this reason."""
    raise error


def configure_logging(settings: Settings, descriptor: int = 2) -> LineWriter:
    """Log as the settings say, from now on, all libraries included; again and again is the same as once.

    Supervisor and workers call this at their start, after whatever else configures loggers.
    """
    is_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    if not _writers or _writers[-1].as_text != is_text:
        _writers.append(LineWriter(descriptor, as_text=is_text))
    writer = _writers[-1]
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(LineHandler(writer))
    root.setLevel(logging.WARNING)
    for name in _OTHERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.disabled = False
    # Requests have lines of our own; uvicorn's would hold whole query strings.
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False
    # BentoML tells of its own start at this level.
    logging.getLogger("bentoml").setLevel(logging.INFO)
    logging.getLogger("forger").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    atexit.unregister(flush_logs)
    atexit.register(flush_logs)
    return writer


def log_writer() -> LineWriter | None:
    """Return the writer of this process's log, if it was configured."""
    return _writers[-1] if _writers else None


def flush_logs(timeout_s: float = _LAST_WORDS_S) -> None:
    """Write what waits; a reader that is stuck is waited for no longer than so."""
    for writer in _writers:
        writer.drain(timeout_s)
