"""The report as files, ``report.json`` and ``report.html``, and as lines for a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from contract.manifest import EvaluationFacts
from training.data import Dataset
from training.evaluation.glossary import MEANINGS, ROW_NAMES
from training.evaluation.page import judged_by, render
from training.evaluation.report import REVISION, Report
from training.evaluation.subjects import Subject

REPORT_FILE: Final = "report.json"
PAGE_FILE: Final = "report.html"


def write_report(report: Report, subject: Subject, dataset: Dataset, folder: Path) -> Path:
    """Write both files, each whole or not at all; returns the page's path."""
    page = render(report, subject, dataset)
    document = json.dumps(
        report.document(**subject.essentials), indent=2, ensure_ascii=False, allow_nan=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((PAGE_FILE, page), (REPORT_FILE, document + "\n")):
        temporary = folder / f".{name}.partial"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / name)
    return folder / PAGE_FILE


def kept_facts(path: Path, images_seen: int) -> EvaluationFacts | None:
    """Return a kept report's figures if they are of what an export at this point would hold.

    That is averaged weights and no truncation, all held-out images' worth of draws, judged as we
    judge now; a report that is torn or not ours is none.
    """
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if (document["revision"], document["images_seen"]) != (REVISION, images_seen):
            return None
        known = {name: document[name] for name in EvaluationFacts.model_fields}
        facts = EvaluationFacts.model_validate(known)
    except (ValueError, KeyError, TypeError):
        return None
    return facts if facts.weights == "averaged" and facts.truncation is None else None


def terminal_text(report: Report) -> str:
    """Return the figures and the verdict as lines of text."""
    facts = report.facts
    truncation = "no truncation" if facts.truncation is None else f"truncation {facts.truncation}"
    lines = [f"{facts.images:,} draws, seed {facts.seed}, {facts.weights} weights, {truncation}"]
    lines += [f"  {name}: {value}" for name, value in facts.feature_space.items()]
    lines.append(f"{'':>27}" + "".join(f"{ROW_NAMES.get(row, row):>12}" for row in facts.rows))
    for metric in MEANINGS:
        if metric in facts.rows["generated"]:
            cells = (
                f"{row[metric]:>12.4f}" if metric in row else f"{'-':>12}" for row in facts.rows.values()
            )
            lines.append(f"{metric:>27}" + "".join(cells))
    lines += [f"judged by: {judged_by(facts)}", "", report.verdict.summary]
    lines += [
        f"  {'good' if finding.good else 'NOT GOOD'}: {finding.sentence}"
        for finding in report.verdict.findings
    ]
    lines += [f"  note: {caution}" for caution in report.verdict.cautions]
    return "\n".join(lines)
