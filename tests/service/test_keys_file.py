"""The file of keys and the command that writes it: whole or not at all, and never a key in it."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.access.__main__ import main
from service.access.allowance import Limits
from service.access.changing import add_entry, remove_entry
from service.access.entries import KeyEntry, read_entries
from service.access.rates import Rate
from service.access.scopes import Scope
from service.access.tokens import digest_of, hash_of, id_in, new_token
from service.errors import UnusableKeys

ROOT = Path(__file__).resolve().parents[2]
HASH = "sha256:" + "0f" * 32
ENTRY = {"id": "alice", "hash": HASH, "scopes": ["generate"]}


def entry(key_id: str = "alice", **more: Any) -> KeyEntry:
    return KeyEntry.model_validate({**ENTRY, "id": key_id, **more})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.jsonl"


def test_a_new_key_is_printed_once_and_only_its_hash_is_kept(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["new", "--id", "alice", "--scope", "generate", "--scope", "metrics", "--file", str(file)]
    more = ["--requests", "600/minute", "--images", "unlimited", "--note", "Alice’s phone", "--days", "30"]
    assert main([*asked, *more]) == 0
    token = capsys.readouterr().out.strip()
    assert re.fullmatch(r"forger_alice_[A-Za-z0-9_-]{43}", token)
    (known,) = read_entries(file)
    assert token not in file.read_text()
    assert token.split("_", 2)[2] not in file.read_text()
    assert known.digest == digest_of(token.encode())
    assert known.scopes == (Scope.GENERATE, Scope.METRICS)
    assert (known.requests, known.images, known.note) == (Rate(600, 60), "unlimited", "Alice’s phone")
    assert known.expires is not None
    assert timedelta(days=29) < known.expires - datetime.now(UTC) <= timedelta(days=30)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_keys_are_listed_without_their_hashes_and_revoked_by_their_ids(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_entry(file, entry("alice", note="a note"))
    add_entry(file, entry("bob-2", expires="2020-01-01T00:00:00Z", requests="5/day"))
    assert main(["list", "--file", str(file)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed == [
        "alice\tgenerate\tnever expires\trequests as set for all\timages as set for all\ta note",
        "bob-2\tgenerate\texpires 2020-01-01T00:00:00+00:00 (expired)\trequests 5/day\timages as set for all",
    ]
    assert main(["revoke", "--id", "alice", "--file", str(file)]) == 0
    assert [one.id for one in read_entries(file)] == ["bob-2"]
    assert main(["revoke", "--id", "bob-2", "--file", str(file)]) == 0
    assert read_entries(file) == []


def test_the_command_runs_by_its_name_with_the_file_of_the_setting(file: Path) -> None:
    environ = {**os.environ, "FORGER_KEYS_FILE": str(file)}
    made = subprocess.run(
        [sys.executable, "-m", "service.access", "new", "--id", "ci", "--scope", "admin"],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [one.hash for one in read_entries(file)] == [hash_of(made.stdout.strip())]
    assert made.stdout.strip() not in made.stderr


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (["new", "--id", "Alice", "--scope", "generate"], "lower-case letters"),
        (["new", "--id", "a_b", "--scope", "generate"], "lower-case letters"),
        (["new", "--id", "a", "--scope", "all"], "invalid choice: 'all' (choose from"),
        (["new", "--id", "a"], "--scope"),
        (["new", "--id", "a", "--scope", "admin", "--requests", "many"], "600/minute"),
        (["new", "--id", "a", "--scope", "admin", "--expires", "tomorrow"], "RFC 3339"),
        (["new", "--id", "a", "--scope", "admin", "--days", "0"], "1 to 36500"),
        (["new", "--id", "a", "--scope", "admin", "--note", "n" * 201], "200 characters"),
        ([], "new | list | revoke"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(
    file: Path, capsys: pytest.CaptureFixture[str], asked: list[str], allowed: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--file", str(file)] if asked else asked)
    assert ended.value.code == 2
    assert allowed in capsys.readouterr().err
    assert not file.exists()


def test_what_cannot_be_done_is_said_in_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = ["new", "--id", "alice", "--scope", "generate"]
    assert main([*new, "--file", str(file)]) == 0
    before = file.read_bytes()
    assert main([*new, "--file", str(file)]) == 1
    assert main(["revoke", "--id", "bob", "--file", str(file)]) == 1
    assert main([*new, "--file", str(file.parent / "none" / "keys")]) == 1
    monkeypatch.delenv("FORGER_KEYS_FILE", raising=False)
    assert main(new) == 2
    *_, twice, unknown, folder, unnamed = capsys.readouterr().err.splitlines()
    assert "already" in twice
    assert "there are alice" in unknown
    assert "cannot be written (No such file or directory)" in folder
    assert "FORGER_KEYS_FILE" in unnamed
    assert file.read_bytes() == before


def test_a_change_leaves_all_other_lines_as_they_are(file: Path) -> None:
    """Somebody's own order and spaces are kept, and so are the mode and the link that leads to the file."""
    mine = json.dumps(ENTRY, indent=None, separators=(" ,  ", " :  ")) + "\n\n"
    file.write_text(mine.rstrip("\n"))  # the last line need not end
    file.chmod(0o640)
    link = file.parent / "link"
    link.symlink_to(file)
    add_entry(link, entry("bob"))
    add_entry(link, entry("carol"))
    remove_entry(link, "bob")
    lines = file.read_text().splitlines()
    assert lines[0] == mine.rstrip("\n")
    assert len(lines) == 2
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_changes_at_the_same_time_are_all_made(file: Path) -> None:
    names = [f"key-{number}" for number in range(24)]
    threads = [threading.Thread(target=add_entry, args=(file, entry(name))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.id for one in read_entries(file)) == sorted(names)


def test_a_change_that_fails_half_way_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry(file, entry())
    before = file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnusableKeys, match="No space left on device"):
        add_entry(file, entry("bob"))
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON|is nested too deeply"),
        ("[]", "is no object; allowed: an object with id, hash, scopes"),
        ("1" * 5000, "Exceeds the limit|is no object"),
        ('{"id": "alice", "id": "bob"}', "a name stands twice"),
        ({**ENTRY, "id": "Alice"}, "id: is not what it must be; allowed: 1 to 32 lower-case"),
        ({**ENTRY, "id": "env:1"}, "id: is not what it must be"),
        ({**ENTRY, "id": 1}, "id: is not what it must be"),
        ({"id": "alice", "scopes": ["admin"]}, "hash: is missing; allowed: sha256:"),
        ({**ENTRY, "hash": "sha256:" + "0F" * 32}, "hash: is not what it must be"),
        ({**ENTRY, "scopes": []}, "scopes: .*allowed: a list of one or more of generate, admin, metrics"),
        ({**ENTRY, "scopes": "generate"}, "scopes: "),
        ({**ENTRY, "scopes": ["generate", "write"]}, "scopes: "),
        ({**ENTRY, "scopes": ["admin", "admin"]}, "scopes: "),
        ({**ENTRY, "expires": "2027-01-01"}, "expires: .*allowed: an RFC 3339 date and time"),
        ({**ENTRY, "expires": "2027-01-01T00:00:00"}, "expires: "),
        ({**ENTRY, "expires": "2027-02-30T00:00:00Z"}, "expires: "),
        ({**ENTRY, "expires": 1_800_000_000}, "expires: "),
        ({**ENTRY, "requests": "600"}, "requests: .*a rate such as 600/minute"),
        ({**ENTRY, "requests": 600}, "requests: "),
        ({**ENTRY, "images": "0/minute"}, "images: .*FORGER_KEY_IMAGES"),
        ({**ENTRY, "note": "n" * 201}, "note: .*200 characters"),
        ({**ENTRY, "colour": "red"}, "a name that is none of id, hash, scopes"),
        ({**ENTRY, "\ud800": "red"}, "a name that is none of id, hash, scopes"),
        (ENTRY, "id: line 1 has it already; allowed: one line an id"),
    ],
)
def test_a_broken_line_is_named_with_its_fault_and_what_is_allowed(
    file: Path, line: str | dict[str, Any], said: str
) -> None:
    broken = line if isinstance(line, str) else json.dumps(line)
    file.write_text(f"{json.dumps(ENTRY)}\n\n{broken}\n")
    with pytest.raises(UnusableKeys, match=rf"^{re.escape(str(file))}, line 3: ({said})"):
        read_entries(file)


@pytest.mark.parametrize("field", ["id", "hash", "scopes", "expires", "requests", "note", "colour"])
def test_a_key_in_the_wrong_place_is_not_repeated(file: Path, field: str) -> None:
    token = new_token("alice")
    file.write_text(json.dumps({**ENTRY, field: token * 4}))
    with pytest.raises(UnusableKeys) as caught:
        read_entries(file)
    chain = [caught.value, caught.value.__cause__]
    assert not any(token in str(error) for error in chain)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(json.dumps(ENTRY).encode() + b"\n\xff\xfe")
    for path, said in (
        (tmp_path, "no such file"),
        (tmp_path / "none", "no such file"),
        (binary, "line 2: .*UTF-8"),
    ):
        with pytest.raises(UnusableKeys, match=said):
            read_entries(path)


def test_limits_are_those_of_all_keys_unless_a_key_has_its_own() -> None:
    everyone = Limits(Rate(1, 1), Rate(2, 1))
    assert entry().limits(everyone) == everyone
    assert entry(requests="3/day").limits(everyone) == Limits(Rate(3, 86_400), Rate(2, 1))
    assert entry(requests="unlimited", images="unlimited").limits(everyone) == Limits()
    assert entry(images="5/hour").limits(Limits()) == Limits(None, Rate(5, 3600))


def test_a_line_says_all_that_was_meant() -> None:
    full = entry(expires="2027-01-31T12:00:00.5+02:00", requests="3/day", images="unlimited", note="ü")
    assert KeyEntry.model_validate_json(full.line()) == full
    assert HASH not in repr(full)


def test_the_id_is_found_in_a_key_whatever_the_secret() -> None:
    tokens = {new_token("a-1") for _ in range(200)}
    assert len(tokens) == 200
    assert {id_in(token.encode()) for token in tokens} == {b"a-1"}
    for strange in (b"", b"forger", b"forger_", b"other_a-1_x", b"\xff_\xff_"):
        assert id_in(strange) == b""
