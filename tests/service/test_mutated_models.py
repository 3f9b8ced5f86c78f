"""A few hundred mutated directories, as `make chaos ARGS=models` loads a hundred thousand: nothing falls."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.files import load_mutated

_FILES = 400


def test_mutated_directories_neither_end_nor_stop_what_loads_them(tmp_path: Path) -> None:
    findings = load_mutated(_FILES, 1, tmp_path)
    assert findings.faults == []
    assert findings.files == _FILES
    # Some changes do no harm, as to a word that nobody reads; most are refused.
    assert 0 < findings.outcomes["loaded"] < _FILES / 4
    assert findings.outcomes["refused"] > _FILES / 2
