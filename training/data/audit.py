"""The audit: every image of a source is decoded once, and what is there and what is wrong is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.config import FolderOptions
from training.data.dataset import HELD_OUT_FRACTION, Dataset, split
from training.data.findings import (
    Finding,
    Severity,
    class_findings,
    count_findings,
    counted,
    error,
    note,
    some_of,
    warning,
)
from training.data.pixels import UnreadableImage, choose_target
from training.data.reading import read_each
from training.data.sighting import Seen, fit_findings, see
from training.data.source import Contents, Item, Source
from training.errors import DataError


@dataclass(frozen=True)
class AuditReport:
    """What is in a data set, what it would become, and what was found.

    ``sizes`` counts (width, height) as shown, ``modes`` counts Pillow's modes, ``classes`` the readable
    images of each class; ``duplicates`` are groups of titles whose pixels are the same; ``unreadable``
    are titles with reasons. ``shape`` is (height, width, channels) of the samples, or (size,).
    """

    name: str
    kind: str
    images: int
    shape: tuple[int, ...] | None = None
    sizes: tuple[tuple[tuple[int, int], int], ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    classes: tuple[tuple[str, int], ...] | None = None
    held_out: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether training would begin."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def audit(source: Source, options: FolderOptions) -> AuditReport:
    """Return the report on all images of a source; what keeps it from being read is a finding too."""
    try:
        contents = source.contents()
    except DataError as fault:
        return AuditReport(source.name, source.kind, 0, findings=(error(str(fault)),))
    seen, faults = read_each(contents.items, see, "looking")
    items = [contents.items[position] for position, _ in seen]
    views = [view for _, view in seen]
    names = contents.class_names
    labels = None if names is None else np.array([item.label for item in items], dtype=np.int64)
    held_out = int(split(labels, len(items), HELD_OUT_FRACTION).sum())
    target = choose_target([view.header for view in views], options) if views else None
    groups = _same_pixels(items, views)
    findings = [
        *_fault_findings(faults, skip_bad=options.skip_bad),
        *count_findings(len(items), labels, held_out),
        *class_findings(labels, names),
        *_duplicate_findings(groups),
        *([] if target is None else fit_findings(views, target)),
        *(note(remark) for remark in contents.notes),
    ]
    return AuditReport(
        name=source.name,
        kind=source.kind,
        images=len(items),
        shape=None if target is None else (target.height, target.width, target.channels),
        sizes=tuple(Counter(view.header.size for view in views).most_common()),
        modes=tuple(Counter(view.header.mode for view in views).most_common()),
        classes=_class_counts(contents, items),
        held_out=held_out,
        unreadable=tuple((fault.title, fault.reason) for fault in faults),
        duplicates=tuple(tuple(item.title for item in group) for group in groups),
        findings=tuple(findings),
    )


def audit_embedded(dataset: Dataset) -> AuditReport:
    """Return the report on an embedded set, whose soundness is a matter of this project's tests."""
    classes = None
    if dataset.class_names is not None:
        counts = np.bincount(np.asarray(dataset.labels), minlength=len(dataset.class_names))
        classes = tuple(zip(dataset.class_names, counts.tolist(), strict=True))
    return AuditReport(
        name=dataset.name,
        kind="an embedded set",
        images=len(dataset.samples),
        shape=dataset.output.shape,
        classes=classes,
        held_out=int(dataset.held_out.sum()),
        findings=(note(dataset.description),),
    )


def _class_counts(contents: Contents, items: Sequence[Item]) -> tuple[tuple[str, int], ...] | None:
    if contents.class_names is None:
        return None
    counts = Counter(item.label for item in items)
    return tuple((name, counts[label]) for label, name in enumerate(contents.class_names))


def _same_pixels(items: Sequence[Item], views: Sequence[Seen]) -> list[list[Item]]:
    groups: dict[bytes, list[Item]] = {}
    for item, view in zip(items, views, strict=True):
        groups.setdefault(view.digest, []).append(item)
    return [group for group in groups.values() if len(group) > 1]


def _fault_findings(faults: list[UnreadableImage], *, skip_bad: bool) -> list[Finding]:
    if not faults:
        return []
    found = f"{len(faults):,} unreadable: {some_of([f'{fault.title} ({fault.reason})' for fault in faults])}"
    if skip_bad:
        return [warning(f"{found}; left out, as --skip-bad says")]
    return [error(f"{found}; mend or remove them, or pass --skip-bad to leave them out")]


def _duplicate_findings(groups: list[list[Item]]) -> list[Finding]:
    found = []
    if groups:
        extra = sum(len(group) - 1 for group in groups)
        pairs = [f"{group[0].title} = {group[1].title}" for group in groups]
        found.append(
            warning(
                f"{counted(extra, 'duplicate')} ({some_of(pairs)}): what is trained on may be held out "
                "as well, and figures would flatter"
            )
        )
    torn = [group for group in groups if len({item.label for item in group}) > 1]
    if torn:
        pairs = [_across(group) for group in torn]
        found.append(warning(f"in more than one class: {counted(len(torn), 'picture')} ({some_of(pairs)})"))
    return found


def _across(group: list[Item]) -> str:
    other = next(item for item in group if item.label != group[0].label)
    return f"{group[0].title} = {other.title}"
