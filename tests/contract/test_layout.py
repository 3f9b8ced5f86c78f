"""Where models lie, and which names may name one."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.layout import ModelDirectory, is_model_name, model_directories, next_version, parse_version


def _make(root: Path, *places: str) -> None:
    for place in places:
        (root / place).mkdir(parents=True)


def test_the_paths_of_a_model_directory(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path, "mnist", 3)
    assert directory.path == tmp_path / "mnist" / "3"
    assert directory.generator == tmp_path / "mnist" / "3" / "generator.onnx"
    assert directory.manifest == tmp_path / "mnist" / "3" / "manifest.json"
    assert directory.preview == tmp_path / "mnist" / "3" / "preview.png"


def test_directories_are_listed_by_name_and_number(tmp_path: Path) -> None:
    _make(tmp_path, "b/10", "b/9", "a/1")
    found = [(entry.name, entry.version) for entry in model_directories(tmp_path)]
    assert found == [("a", 1), ("b", 9), ("b", 10)]


def test_what_is_no_version_is_passed_over(tmp_path: Path) -> None:
    _make(tmp_path, "a/.export-x", "a/0", "a/01", "a/v2", "a/2", ".git/1", "Upper/1")
    (tmp_path / "README.md").write_text("")
    (tmp_path / "a" / "3").write_text("")
    assert list(model_directories(tmp_path)) == [ModelDirectory(tmp_path, "a", 2)]


def test_a_missing_root_has_no_models(tmp_path: Path) -> None:
    assert list(model_directories(tmp_path / "none")) == []


def test_the_next_version_is_one_above_the_highest(tmp_path: Path) -> None:
    assert next_version(tmp_path, "a") == 1
    _make(tmp_path, "a/2", "a/11", "b/40")
    assert next_version(tmp_path, "a") == 12


@pytest.mark.parametrize("name", ["mnist", "a", "0", "my-cats_2.1", "x" * 64])
def test_names_of_models(name: str) -> None:
    assert is_model_name(name)


@pytest.mark.parametrize("name", ["", "A", ".", "..", "-a", "a-", "a/b", "a:1", "é", "x" * 65, "a\n"])
def test_what_is_no_name(name: str) -> None:
    assert not is_model_name(name)


@pytest.mark.parametrize(
    ("text", "version"),
    [("1", 1), ("42", 42), ("0", None), ("01", None), ("+1", None), ("1\n", None), ("", None), ("٣", None)],
)
def test_versions_are_plain_positive_numbers(text: str, version: int | None) -> None:
    assert parse_version(text) == version
