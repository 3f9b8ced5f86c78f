"""The rules of ``promtool check metrics``, for where promtool is not installed; and promtool, where it is.

Source: prometheus/client_golang, prometheus/testutil/promlint.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from prometheus_client.parser import text_string_to_metric_families

_TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
_NO_BASE_UNITS = (
    "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "weeks", "kilobytes",
    "megabytes", "gigabytes", "bits", "percent", "kelvin", "fahrenheit",
)  # fmt: skip
_ABBREVIATIONS = ("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d")


def faults(text: str) -> list[str]:
    """Return what is wrong with metrics in Prometheus's text format."""
    found = []
    declared = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    helped = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    for name, kind in declared:
        found += [f"{name}: {fault}" for fault in _faults_of(name, kind, is_helped=name in helped)]
    names = [name for name, _ in declared]
    found += [f"{name}: declared twice" for name in {name for name in names if names.count(name) > 1}]
    series = [line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")]
    found += [f"{one}: occurs twice" for one in {one for one in series if series.count(one) > 1}]
    owned = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    lone = {one.partition("{")[0] for one in series} - owned
    return found + [f"{one}: belongs to no metric" for one in lone]


def _faults_of(name: str, kind: str, *, is_helped: bool) -> list[str]:
    words = name.split("_")
    rules = {
        "no help": is_helped,
        "a counter must end in _total": kind != "counter" or name.endswith("_total"),
        "only a counter may end in _total": kind == "counter" or not name.endswith("_total"),
        "only a histogram has such a suffix": kind in ("histogram", "summary")
        or not name.endswith(("_count", "_sum", "_bucket")),
        "the type has no place in a name": not any(word in _TYPES for word in words),
        "no colons, no capitals": re.fullmatch(r"[a-z0-9_]+", name) is not None,
        "base units only": not any(word in (*_NO_BASE_UNITS, *_ABBREVIATIONS) for word in words),
    }
    return [fault for fault, holds in rules.items() if not holds]


def promtool_faults(text: str) -> str | None:
    """Return what promtool says, nothing if all is well; None where it is not installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return None
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
