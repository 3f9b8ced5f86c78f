"""The league's tables, made from its raw results: medians over seeds, and the worst seed."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from bench.league.board import Board, settled

Result = dict[str, Any]

_COLUMNS = (
    "recipe",
    "coverage",
    "density",
    "class accuracy",
    "Fréchet distance",
    "images/s",
    "CPU min",
    "seeds",
    "doctor",
)


def results(board: Board) -> dict[str, list[Result]]:
    """Return the board's results by recipe, those of recipes as they are now only."""
    found: dict[str, list[Result]] = {}
    for name in board.recipes:
        _, digest = settled(name)
        kept = [json.loads(path.read_text()) for path in sorted(board.results.glob(f"{name}-[0-9]*.json"))]
        current = [
            result for result in kept if result["recipe"] == name and result["recipe_digest"] == digest
        ]
        if current:
            found[name] = current
    return found


def table(board: Board) -> str:
    """Return the board as a Markdown table, best median first; empty if nothing was played.

    All recipes are shown from as many seeds; what more there are of one stands below.
    """
    found = results(board)
    if not found:
        return ""
    if board.data == "gaussian":
        return _of_numbers(board, found)
    alike = {name: [one for one in played if one["seed"] < board.seeds] for name, played in found.items()}
    more = [_all_seeds(name, played) for name, played in found.items() if len(played) > len(alike[name])]
    return " ".join([_of_images(board, {name: played for name, played in alike.items() if played}), *more])


def _all_seeds(name: str, played: list[Result]) -> str:
    """Say how steady a recipe is that was played from more seeds than the others."""
    coverage, accuracy = _drawn(played, "coverage"), _drawn(played, "class_accuracy")
    return (
        f"From {len(played)} seeds, `{name}`: coverage {statistics.median(coverage):.3f}, worst "
        f"{min(coverage):.3f}; class accuracy at least {min(accuracy):.3f}; the doctor: {_doctor(played)}."
    )


def _of_images(board: Board, found: dict[str, list[Result]]) -> str:
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    order = sorted(found, key=lambda name: -statistics.median(_drawn(found[name], "coverage")))
    for name in order:
        played = found[name]
        coverage = _drawn(played, "coverage")
        cells = [
            f"`{name}`",
            _median_and_worst(coverage, min),
            _median_and_worst(_drawn(played, "density"), min),
            _median_and_worst(_drawn(played, "class_accuracy"), min),
            _median_and_worst(_drawn(played, "frechet_distance"), max, ".1f"),
            f"{played[0]['images_per_cpu_s']:,.0f}",
            f"{statistics.median(result['cpu_s'] for result in played) / 60:.1f}",
            str(len(played)),
            _doctor(played),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    some = found[order[0]][0]["evaluation"]["rows"]
    for row, words in (("real", "*real against held-out real*"), ("noise", "*noise*")):
        figures = some[row]
        cells = [words, f"{figures['coverage']:.3f}", f"{figures['density']:.3f}"]
        cells += [f"{figures['class_accuracy']:.3f}", f"{figures['frechet_distance']:.1f}", "", "", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _caption(board, found)])


def _of_numbers(board: Board, found: dict[str, list[Result]]) -> str:
    names = {
        "mean": "mean",
        "standard_deviation": "standard deviation",
        "wasserstein": "Wasserstein distance",
        "kolmogorov_smirnov": "Kolmogorov–Smirnov",
    }
    lines = [f"| drawn by | {' | '.join(names.values())} | the doctor |", "|---|---|---|---|---|---|"]
    for name, played in found.items():
        for result in played:
            row = result["evaluation"]["rows"]["generated"]
            figures = " | ".join(f"{row[key]:.3f}" for key in names)
            lines.append(f"| `{name}`, seed {result['seed']} | {figures} | {_doctor([result])} |")
    some = next(iter(found.values()))[0]["evaluation"]["rows"]
    for row_name, words in (("real", "*real against held-out real*"), ("noise", "*noise*")):
        figures = " | ".join(f"{some[row_name][key]:.3f}" for key in names)
        lines.append(f"| {words} | {figures} | |")
    return "\n".join([*lines, "", _caption(board, found)])


def _drawn(played: list[Result], metric: str) -> list[float]:
    rows = [result["evaluation"]["rows"]["generated"] for result in played]
    return [row[metric] for row in rows if metric in row]


def _median_and_worst(values: list[float], worst: Any, form: str = ".3f") -> str:  # noqa: ANN401 - min or max
    if not values:
        return "no classes"
    return f"{statistics.median(values):{form}}, {worst(values):{form}}"


def _doctor(played: list[Result]) -> str:
    """Return what the doctor said in how many of the runs."""
    said = Counter(
        finding
        for result in played
        for finding in sorted({name for check in result["doctor"] for name in check["new"]})
    )
    if not said:
        return "healthy"
    return ", ".join(f"{finding} ({count} of {len(played)})" for finding, count in said.most_common())


def _caption(board: Board, found: dict[str, list[Result]]) -> str:
    some = next(iter(found.values()))[0]
    space = some["evaluation"]["feature_space"]
    text = (
        f"`{board.data}`, {board.minutes:g} CPU minutes a run, by the speed measured before; one thread; "
        f"{some['evaluation']['images']:,} draws of averaged weights. Median, then the worst seed."
    )
    if "classifier_digest" in space:
        digest = str(space["classifier_digest"]).removeprefix("sha256:")[:12]
        accuracy = float(space["classifier_held_out_accuracy"])
        text += f" Features: our classifier {digest}, which reads {accuracy:.1%} of held-out images right."
    return text


def write_between(path: Path, marker: str, text: str) -> bool:
    """Replace what stands between ``<!-- marker -->`` and ``<!-- end marker -->``; tell if it did."""
    content = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {marker} -->\n", f"<!-- end {marker} -->"
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        return False
    path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
    return True
