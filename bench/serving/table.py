"""The serving figures as a table: for each server the share of the ceiling, and the median latency."""

from __future__ import annotations

from typing import Any

Cell = dict[str, Any]


def table(cells: list[Cell]) -> str:
    """Return one Markdown table a model: a row for each server, a column for each cell."""
    parts = []
    for model in dict.fromkeys(cell["model"] for cell in cells):
        mine = [cell for cell in cells if cell["model"] == model]
        columns = list(dict.fromkeys((cell["workload"], cell["connections"]) for cell in mine))
        heads = [f"{workload}, {connections}" for workload, connections in columns]
        lines = [
            f"**{model}**: share of the ceiling, and median latency in ms, by workload and connections",
            "",
            f"| | {' | '.join(heads)} | MiB | ready, s |",
            f"|---|{'---|' * len(heads)}---|---|",
        ]
        by_server: dict[str, dict[tuple[str, int], Cell]] = {}
        for cell in mine:
            place = (cell["workload"], cell["connections"])
            by_server.setdefault(cell["server"].partition(", arrays")[0], {})[place] = cell
        for server, measured in by_server.items():
            shown = [_cell(measured.get(column)) for column in columns]
            some = list(measured.values())
            memory, ready = max(one["resident_mib"] for one in some), max(one["ready_s"] for one in some)
            lines.append(f"| {server} | {' | '.join(shown)} | {memory} | {ready} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    failed = f", {cell['errors']:.0f} errors" if cell["errors"] else ""
    return f"{cell['ratio']:.2f}, {cell['p50_ms']:.1f}{failed}"
