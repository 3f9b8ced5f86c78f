"""What the trials amount to: the shares that were named rightly, and the false alarms, as one table."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from bench.sabotage.trial import RESULTS, Trial, history
from training.doctor import diagnose
from training.recipe_config import Recipe

TABLE = RESULTS.with_suffix(".md")


def verdict(document: dict[str, Any]) -> str:
    """Return the failure that is named first, or ``healthy``: what a run that stops for it would say.

    The trial's checks are diagnosed again, so that the table is of the rules as they are.
    """
    recipe = Recipe.model_validate(document["recipe"])
    checks = history(document)
    for count in range(1, len(checks) + 1):
        found = diagnose(checks[:count], recipe)
        if found:
            return found[0].failure.value
    return "healthy"


def is_right(document: dict[str, Any]) -> bool:
    """Tell whether that is what was expected before the run."""
    return verdict(document) in (document["expected"] or ["healthy"])


def write_table(trials: list[Trial]) -> str:
    """Write the table of all results there are, and return it."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for trial in trials:
        if trial.is_done:
            document = json.loads(trial.result.read_text(encoding="utf-8"))
            kind = "counted" if trial.case.listed else "looked at"
            rows.setdefault((kind, trial.case.key), []).append(document)
    sabotaged = [
        one for (kind, _), some in rows.items() if kind == "counted" for one in some if one["expected"]
    ]
    healthy = [
        one for (kind, _), some in rows.items() if kind == "counted" for one in some if not one["expected"]
    ]
    lines = ["| case and recipe | what must be named | runs | right | named first |", "|---|---|--:|--:|---|"]
    lines += [_row(key, some) for (_, key), some in rows.items()]
    lines += [
        "",
        _share("sabotaged runs named rightly", sabotaged),
        _share("healthy runs left in peace", healthy),
    ]
    text = "\n".join(lines) + "\n"
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(text, encoding="utf-8")
    return text


def _row(key: str, documents: list[dict[str, Any]]) -> str:
    expected = " or ".join(documents[0]["expected"]) or "nothing"
    said = Counter(verdict(document) for document in documents)
    right = sum(map(is_right, documents))
    counts = ", ".join(f"{name} {count}" for name, count in said.most_common())
    return f"| {key} | {expected} | {len(documents)} | {right} | {counts} |"


def _share(words: str, documents: list[dict[str, Any]]) -> str:
    right = sum(map(is_right, documents))
    share = f" ({right / len(documents):.1%})" if documents else ""
    return f"{words}: {right} of {len(documents)}{share}"
