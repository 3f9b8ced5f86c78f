"""The report as one HTML file that needs no other: no script, no font, no address but ``data:``."""

from __future__ import annotations

from html import escape

from contract.manifest import EvaluationFacts
from training.data import Dataset
from training.evaluation.curves import histograms, loss_curves
from training.evaluation.glossary import MEANINGS, ROW_NAMES
from training.evaluation.panels import class_panels, interpolation_panels, neighbour_panels
from training.evaluation.report import Report
from training.evaluation.style import STYLE
from training.evaluation.subjects import Subject
from training.evaluation.verdict import Verdict

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_ARROWS = {"high": "↑", "low": "↓", "real": "≈"}
_MARKS = {True: '<b class="mark good">good</b>', False: '<b class="mark bad">not good</b>'}


def render(report: Report, subject: Subject, dataset: Dataset) -> str:
    """Return the whole page. Pictures are drawn with the report's own seed and truncation."""
    judge = judged_by(report.facts)
    sections = [_head(subject, report.facts), _verdict(report.verdict), _table(report.facts, judge)]
    if report.numbers is not None:
        chart = histograms({_row_name(name): report.numbers[name] for name in ("generated", "held_out")})
        sections.append(_section("Distribution", f"<figure>{chart}</figure>"))
    if report.pixels is not None:
        sections.append(_section("What it draws", class_panels(report, subject.sampler, dataset, judge)))
        sections.append(_section("Between draws", interpolation_panels(report, subject.sampler)))
        sections.append(_section("Nearest training images", neighbour_panels(report, dataset)))
    curves = loss_curves(subject.metrics)
    if curves:
        panels = "".join(f"<figure><h3>{escape(title)}</h3>{svg}</figure>" for title, svg in curves)
        sections.append(_section("The run", f'<div class="stack">{panels}</div>'))
    sections.append(_section("Facts", _facts(report, subject, dataset)))
    return _document(subject.title, "\n".join(sections))


def judged_by(facts: EvaluationFacts) -> str:
    """Return who judged, as it stands beside every figure: the classifier's digest and accuracy."""
    digest = facts.feature_space.get("classifier_digest")
    sure = facts.feature_space.get("classifier_held_out_accuracy")
    if isinstance(digest, str) and isinstance(sure, float):
        short = digest.removeprefix("sha256:")[:12]
        return f"classifier {short}…, {sure:.1%} right on held-out real images"
    return str(facts.feature_space.get("kind", "the samples themselves"))


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def _row_name(name: str) -> str:
    return ROW_NAMES.get(name, name.replace("_", "-"))


def _head(subject: Subject, facts: EvaluationFacts) -> str:
    how = f"{facts.images:,} draws, seed {facts.seed}, {facts.weights} weights, {_truncation(facts)}"
    return f'<header>\n<h1>{escape(subject.title)}</h1>\n<p class="soft">{escape(how)}</p>\n</header>'


def _truncation(facts: EvaluationFacts) -> str:
    return "no truncation" if facts.truncation is None else f"truncation {facts.truncation}"


def _verdict(verdict: Verdict) -> str:
    good = [finding.good for finding in verdict.findings]
    tone = "" if all(good) else " mixed" if any(good) else " poor"
    items = "".join(
        f"<li>{_MARKS[finding.good]}"
        f"<b>{escape(finding.topic.capitalize())}</b>: {escape(finding.sentence)}.</li>\n"
        for finding in verdict.findings
    )
    cautions = "".join(f'<p class="soft">{escape(caution)}</p>\n' for caution in verdict.cautions)
    summary = f'<p class="verdict{tone}">{escape(verdict.summary)}</p>'
    return f'{summary}\n<ul class="findings">\n{items}</ul>\n{cautions}'


def _table(facts: EvaluationFacts, judge: str) -> str:
    heads = "".join(f'<th scope="col">{escape(_row_name(name))}</th>' for name in facts.rows)
    lines = []
    for metric, meaning in MEANINGS.items():
        if metric not in facts.rows["generated"]:
            continue
        cells = "".join(
            f"<td{' class=drawn' if name == 'generated' else ''}>"
            f"{meaning.show(row[metric]) if metric in row else '–'}</td>"
            for name, row in facts.rows.items()
        )
        label = f"{escape(meaning.label)} <small>{escape(meaning.text)}</small>"
        lines.append(f'<tr><td>{label}</td>{cells}<td class="soft">{_ARROWS[meaning.better]}</td></tr>\n')
    note = (
        f"Judged by: {judge}. Real: as many training samples, against the same held-out ones. Noise: as much "
        "uniform noise. ≈: best near the real row. Figures by another judge do not compare with these."
    )
    return _section(
        "The figures beside real and noise",
        f'<div class="wide"><table>\n<thead><tr><th scope="col"></th>{heads}<th scope="col">better</th></tr>'
        f"</thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table></div>\n<p><small>{escape(note)}</small></p>",
    )


def _facts(report: Report, subject: Subject, dataset: Dataset) -> str:
    facts = report.facts
    pairs = {
        **subject.facts,
        "draws judged": f"{facts.images:,}",
        "seed": str(facts.seed),
        "weights": facts.weights,
        "truncation": facts.truncation or "none",
        "data set": f"{dataset.name}: {dataset.description}" if dataset.description else dataset.name,
        "data digest": dataset.digest,
        "training samples": f"{len(dataset.part(held_out=False)):,}",
        "held-out samples": f"{len(dataset.part(held_out=True)):,}",
        **{name.replace("_", " "): _value(value) for name, value in facts.feature_space.items()},
    }
    items = "".join(f"<dt>{escape(name)}</dt><dd>{_coded(value)}</dd>\n" for name, value in pairs.items())
    return f"<dl>\n{items}</dl>"


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4f}".rstrip("0").rstrip(".")


def _coded(value: str) -> str:
    return f"<code>{escape(value)}</code>" if value.startswith("sha256:") else escape(value)
