"""An audit report as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from training.data.audit import AuditReport
from training.data.findings import Severity

_SHOWN = 8
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def render(report: AuditReport) -> str:
    """Return the report in lines: what there is, what it becomes, then findings, the gravest first."""
    lines = [f"{report.name}: {report.kind}"]
    lines.append(_line("images", f"{report.images:,}" + _unreadable(report)))
    if report.sizes:
        sizes = [(f"{width} x {height}", count) for (width, height), count in report.sizes]
        lines.append(_line("sizes", _counts(sizes) + " (width x height)"))
        lines.append(_line("modes", _counts(report.modes)))
    if report.images:
        classes = "none" if report.classes is None else f"{len(report.classes)}: {_counts(report.classes)}"
        lines.append(_line("classes", classes))
    if report.shape is not None:
        held_out = f"{report.held_out:,} of them held out"
        lines.append(_line("becomes", f"{' x '.join(map(str, report.shape))}, {held_out}"))
    for severity in _ORDER:
        lines += [
            f"{finding.severity}: {finding.message}"
            for finding in report.findings
            if finding.severity is severity
        ]
    return "\n".join(lines)


def _line(head: str, text: str) -> str:
    return f"  {head:<9}{text}"


def _unreadable(report: AuditReport) -> str:
    return f" readable, {len(report.unreadable):,} not" if report.unreadable else ""


def _counts(pairs: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} ({count:,})" for name, count in pairs[:_SHOWN])
    return shown + (f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else "")
