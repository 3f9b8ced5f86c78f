"""docs/settings.md says what the code says; and whatever is wrong with any setting stops the start."""

from __future__ import annotations

import subprocess
import sys
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from service import settings_table
from service.errors import InvalidSettings
from service.settings import PREFIX, Settings, load_settings
from service.settings_table import settings_page
from tests.fakes.server import command, environment, free_port

ROOT = Path(__file__).resolve().parents[2]
GARBAGE = "\x01 no such thing, anywhere\n"


def variable(name: str) -> str:
    return PREFIX + name.upper()


def bounds(field: Any) -> dict[str, int]:
    return {
        kind: getattr(part, kind) for part in field.metadata for kind in ("ge", "le") if hasattr(part, kind)
    }


def wrong_values() -> Iterator[tuple[str, str]]:
    """Yield, for every setting, values of the wrong type, below, above, of the wrong case, and garbage."""
    for name, field in Settings.model_fields.items():
        yield name, GARBAGE
        if field.annotation is int:
            limits = bounds(field)
            yield name, str(limits["ge"] - 1)
            yield name, str(limits["le"] + 1)
            yield from ((name, text) for text in ("", "2.5", "many", "1e3", "0x10", "nan", "9" * 400, "None"))
        elif typing.get_origin(field.annotation) is Literal:
            choices = typing.get_args(field.annotation)
            yield from ((name, text) for text in ("", "yes please", choices[0] + "x", choices[0].upper()))


@pytest.mark.parametrize(("name", "value"), list(wrong_values()))
def test_every_setting_refuses_what_is_wrong_and_says_what_is_allowed(name: str, value: str) -> None:
    field = Settings.model_fields[name]
    with pytest.raises(InvalidSettings) as refusal:
        load_settings({variable(name): value})
    sentence = str(refusal.value)
    assert sentence.startswith(variable(name))
    assert f"allowed: {field.description}" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1000
    if not field.repr:
        assert value not in sentence, "a secret, even a wrong one, is not shown"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_name_that_is_nearly_a_setting_is_none(name: str) -> None:
    for wrong in (f"{variable(name)}S", PREFIX + name, f"{variable(name)} ", f"{variable(name)}\n"):
        with pytest.raises(InvalidSettings, match=f"is no setting; there are .*{variable(name)}"):
            load_settings({wrong: "1"})


def test_numbers_have_bounds_and_every_setting_is_explained() -> None:
    """Whoever adds a setting says what it does (``title``) and what is allowed (``description``)."""
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} does not say what is allowed"
        assert field.title, f"{name} does not say what it does"
        if field.annotation is int:
            assert set(bounds(field)) == {"ge", "le"}, name


def test_the_page_is_what_the_code_generates() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_page(), "the settings changed: run make docs"
    for name in Settings.model_fields:
        assert f"| `{variable(name)}` |" in written


def test_a_new_setting_of_any_kind_has_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(BaseModel):
        ratio: float = Field(0.5, description="0 to 1", title="A ratio.")
        keys_file: Path | None = Field(None, description="an existing file", title="Where keys are.")
        names: tuple[str, ...] = Field(("a", "b"), description="names", title="Some | names.")
        strict: bool = Field(default=True, description="true or false", title="Strictness.")

    monkeypatch.setattr(settings_table, "Settings", Later)
    page = settings_page()
    assert "| `FORGER_RATIO` | number | `0.5` | 0 to 1 | A ratio. |" in page
    assert "| `FORGER_KEYS_FILE` | path | none | an existing file | Where keys are. |" in page
    assert "| `FORGER_NAMES` | list | `a,b` | names | Some \\| names. |" in page
    assert "| `FORGER_STRICT` | true or false | `true` | true or false | Strictness. |" in page


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("max_imagse", "3", "FORGER_MAX_IMAGES"),
        ("max_images", "0", "1 to 4096"),
        ("threads", "two", "1 to 64"),
        ("log_format", "JSON", "auto, json or text"),
        ("head_timeout_ms", "9", "10 to 600000"),
    ],
)
def test_the_real_command_ends_at_once(tmp_path: Path, setting: str, value: str, allowed: str) -> None:
    """In less than two seconds of processor time: the machine may be busy with others."""
    environ = environment(tmp_path / "home", **{setting: value})
    timed = [sys.executable, "-c", _TIMED, *command(free_port())]
    begun = time.monotonic()
    ended = subprocess.run(
        timed, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - begun < 60
    assert ended.returncode == 1
    assert f"forger: FORGER_{setting.upper()}" in ended.stderr
    assert allowed in ended.stderr
    assert "Traceback" not in ended.stderr
    assert float(ended.stdout.splitlines()[-1]) < 4.0


_TIMED = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
sys.exit(ended.returncode)
"""
