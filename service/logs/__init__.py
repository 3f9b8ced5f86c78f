"""The log: JSON objects a line, or text for eyes, written by a thread that never makes the service wait."""

from service.logs.configuration import configure_logging, flush_logs, log_writer
from service.logs.lines import event_line
from service.logs.writer import LineWriter

__all__ = ["LineWriter", "configure_logging", "event_line", "flush_logs", "log_writer"]
