"""What a scenario found: its figures, and which laws hold; kept in a file, and told in a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fakes.server import ROOT

RESULTS = ROOT / "bench" / "results" / "reliability.json"


@dataclass(frozen=True)
class Finding:
    """The figures of a scenario, and its laws by their sentences: whether each was seen to hold."""

    scenario: str
    figures: Mapping[str, Any]
    laws: Mapping[str, bool]

    @property
    def holds(self) -> bool:
        """Whether every law does."""
        return all(self.laws.values())

    @property
    def broken(self) -> list[str]:
        """The laws that do not."""
        return [law for law, holds in self.laws.items() if not holds]

    def record(self, form: str) -> dict[str, Any]:
        """Return the finding as the file keeps it."""
        return {
            "scenario": self.scenario,
            "form": form,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "holds": self.holds,
            "figures": dict(self.figures),
            "laws": dict(self.laws),
        }


def keep(record: dict[str, Any], file: Path = RESULTS) -> None:
    """Put a record into the file, in the place of the scenario's last one of the same form."""
    records = [one for one in kept(file) if _key(one) != _key(record)]
    records = sorted([*records, record], key=_key)
    file.write_text("[\n" + ",\n".join(json.dumps(one) for one in records) + "\n]\n")


def kept(file: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the file's records; none if there is no file."""
    return json.loads(file.read_text()) if file.is_file() else []


def _key(record: dict[str, Any]) -> tuple[str, str]:
    return record["scenario"], record["form"]


def table(records: list[dict[str, Any]]) -> str:
    """Return the records as a table in Markdown."""
    lines = ["| scenario | form | laws | figures | holds |", "|---|---|---|---|---|"]
    for record in records:
        laws = "; ".join(f"{'' if holds else '**broken:** '}{law}" for law, holds in record["laws"].items())
        figures = ", ".join(f"{name} {_shown(value)}" for name, value in record["figures"].items())
        verdict = "yes" if record["holds"] else "**no**"
        lines.append(
            f"| {record['scenario']} | {record['form']}, {record['date']} | {laws} | {figures} | {verdict} |"
        )
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} × {count:,}" for name, count in value.items()) or "none"
    if isinstance(value, list):
        return f"{min(value):,} … {max(value):,}" if value else "none"
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
