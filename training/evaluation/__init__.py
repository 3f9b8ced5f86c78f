"""What a generator's draws are worth, measured without downloads and beside reference rows."""

from __future__ import annotations

from training.evaluation.exported import dataset_of, read_exported
from training.evaluation.files import kept_facts, terminal_text, write_report
from training.evaluation.report import Report, evaluate
from training.evaluation.request import Request, parse_truncation
from training.evaluation.subjects import Subject, model_subject, run_subject

__all__ = [
    "Report",
    "Request",
    "Subject",
    "dataset_of",
    "evaluate",
    "kept_facts",
    "model_subject",
    "parse_truncation",
    "read_exported",
    "run_subject",
    "terminal_text",
    "write_report",
]
