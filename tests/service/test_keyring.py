"""Keys are looked up alike whether they are known or not, and read again when their file changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.access import keyring as keyring_module
from service.access import tokens
from service.access.allowance import Limits
from service.access.changing import add_entry, remove_entry
from service.access.entries import KeyEntry
from service.access.keyring import Keyring
from service.access.rates import Rate
from service.access.scopes import Scope
from service.access.tokens import hash_of, new_token
from service.errors import InvalidSettings, RateLimited

_PATIENCE_S = 30.0


def add(file: Path, key_id: str, **more: Any) -> bytes:
    """Write a new key into a file, and return it."""
    token = new_token(key_id)
    document = {"id": key_id, "hash": hash_of(token), "scopes": ["generate"], **more}
    add_entry(file, KeyEntry.model_validate(document))
    return token.encode()


def id_of(ring: Keyring, token: bytes) -> str | None:
    holder = ring.find(token)
    return None if holder is None else holder.id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.jsonl"


def test_each_key_finds_its_own_holder_and_no_other_text_finds_any(file: Path) -> None:
    alice, bob = add(file, "alice", scopes=["generate", "admin"]), add(file, "bob", scopes=["metrics"])
    ring = Keyring(["a-key-of-the-environment", "another-of-the-environment"], file)
    assert [id_of(ring, key) for key in (alice, bob)] == ["alice", "bob"]
    assert id_of(ring, b"a-key-of-the-environment") == "env:1"
    assert id_of(ring, b"another-of-the-environment") == "env:2"
    secret = alice.split(b"_", 2)[2]
    for wrong in (
        b"", secret, b"forger_alice_", b"forger_bob_" + secret, b"forger_carol_" + secret, alice + b"x",
        alice[:-1], alice + b"\n", alice.upper(), b"forger__" + secret, bytes(32), alice * 20, b"\xff" * 50,
    ):  # fmt: skip
        assert ring.find(wrong) is None
    holder = ring.find(alice)
    assert holder is not None
    assert holder.scopes == {Scope.GENERATE, Scope.ADMIN}


def test_keys_of_the_environment_are_for_drawing_and_metrics(file: Path) -> None:
    holder = Keyring(["a-key-of-the-environment"]).find(b"a-key-of-the-environment")
    assert holder is not None
    assert holder.scopes == {Scope.GENERATE, Scope.METRICS}


def test_a_key_that_was_made_for_a_file_works_in_the_environment_too(file: Path) -> None:
    token = new_token("alice")
    assert id_of(Keyring([token]), token.encode()) == "env:1"


def test_whether_an_id_is_known_changes_nothing_of_the_work(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same hashes of as many bytes, and the same comparisons of whole digests, in the same order."""
    alice = add(file, "alice")
    ring = Keyring(["a-key-of-the-environment"], file)
    work: list[tuple[str, int]] = []

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: bytes, *rest: bytes) -> Any:
            work.append((name, len(first)))
            return function(first, *rest)

        return call

    compare, sha256 = counted("compare", hmac.compare_digest), counted("hash", hashlib.sha256)
    monkeypatch.setattr(keyring_module.hmac, "compare_digest", compare)
    monkeypatch.setattr(tokens.hashlib, "sha256", sha256)
    for token in (alice, alice.replace(b"alice", b"carol"), b"x" * len(alice), alice[:-1] + b"!"):
        ring.find(token)
        assert work == [("hash", len(alice)), ("compare", 32), ("compare", 32)]
        work.clear()


def test_what_is_too_long_to_be_a_key_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring(["a-key-of-the-environment"])
    monkeypatch.setattr(tokens.hashlib, "sha256", None)
    assert ring.find(b"x" * 100_000) is None


def test_new_keys_work_and_revoked_ones_do_not_while_the_service_runs(file: Path) -> None:
    alice = add(file, "alice")
    ring = Keyring(file=file)
    ring.watch()
    try:
        bob = add(file, "bob")
        until(lambda: id_of(ring, bob) == "bob")
        remove_entry(file, "alice")
        until(lambda: ring.find(alice) is None)
        remove_entry(file, "bob")  # the last one: an empty file lets nobody in
        until(lambda: ring.find(bob) is None)
        assert ring.is_on
    finally:
        ring.close()


def until(happens: Callable[[], bool]) -> None:
    patience = time.monotonic() + _PATIENCE_S
    while not happens():
        assert time.monotonic() < patience
        time.sleep(0.02)


def test_a_broken_file_keeps_the_old_keys_and_is_logged_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice = add(file, "alice")
    good = file.read_bytes()
    ring = Keyring(file=file)
    file.write_bytes(good + b"{broken\n")
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            ring.look()
        file.unlink()
        for _ in range(3):
            ring.look()
    assert id_of(ring, alice) == "alice"
    broken, missing = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert broken.startswith(f"the keys stay as they were: FORGER_KEYS_FILE={file}, line 2: is not JSON")
    assert missing.endswith("there is no such file; python -m service.access new makes it")
    file.write_bytes(good)
    bob = add(file, "bob")
    ring.look()
    assert [id_of(ring, key) for key in (alice, bob)] == ["alice", "bob"]


def test_nothing_that_a_look_stumbles_over_ends_the_watch(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a key that is revoked afterwards would be good for as long as the service runs."""
    alice = add(file, "alice")
    ring = Keyring(file=file)
    stumbled = threading.Event()

    def stumble(_path: Path) -> list[KeyEntry]:
        monkeypatch.undo()
        stumbled.set()
        raise IndexError("what nobody has thought of")

    monkeypatch.setattr(keyring_module, "read_entries", stumble)
    ring.watch()
    try:
        remove_entry(file, "alice")
        assert stumbled.wait(_PATIENCE_S)
        until(lambda: ring.find(alice) is None)
    finally:
        ring.close()
    assert "what nobody has thought of" in caplog.text


def test_a_file_that_was_there_all_the_time_and_could_not_be_read_is_tried_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(file, "alice")
    ring = Keyring(file=file)
    bob = add(file, "bob")
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error"))
    )
    ring.look()
    assert ring.find(bob) is None
    monkeypatch.setattr(Path, "open", opened)
    ring.look()
    assert id_of(ring, bob) == "bob"


def test_a_file_that_has_not_changed_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(file, "alice")
    ring = Keyring(file=file)
    monkeypatch.setattr(keyring_module, "read_entries", None)
    ring.look()
    os.utime(file, ns=(0, 0))
    with pytest.raises(TypeError):
        ring.look()


def test_what_was_used_up_stays_used_up_when_the_file_is_read_again(file: Path) -> None:
    alice, bob = add(file, "alice"), add(file, "bob", requests="1/day")
    ring = Keyring(file=file, limits=Limits(Rate(2, 3600)), clock=lambda: 0)
    take(ring, alice, 2)
    take(ring, bob, 1)
    carol = add(file, "carol")
    ring.look()
    for used_up in (alice, bob):
        with pytest.raises(RateLimited):
            take(ring, used_up, 1)
    take(ring, carol, 2)
    file.write_text(file.read_text().replace("1/day", "5/day"))  # another limit begins anew
    ring.look()
    take(ring, bob, 5)


def take(ring: Keyring, token: bytes, requests: int) -> None:
    holder = ring.find(token)
    assert holder is not None
    assert holder.allowance is not None
    for _ in range(requests):
        holder.allowance.take_request()


def test_memory_goes_with_the_keys_that_there_are(file: Path) -> None:
    """Nothing is kept of keys that are gone, nor of what was never a key."""
    ring = Keyring(file=_with(file, 50), limits=Limits(Rate(1, 1)))
    for number in range(1000):
        ring.find(b"forger_key-%d_guessed" % number)
    assert len(ring._by_id) == 50
    file.write_text(file.read_text().partition("\n")[0])
    ring.look()
    assert len(ring._by_id) == 1


def _with(file: Path, count: int) -> Path:
    lines = [
        KeyEntry(id=f"key-{number}", hash=hash_of(str(number)), scopes=(Scope.GENERATE,)).line()
        for number in range(count)
    ]
    file.write_text("\n".join(lines))
    return file


def test_a_key_without_limits_has_no_allowance(file: Path) -> None:
    alice, bob = add(file, "alice", requests="unlimited"), add(file, "bob")
    ring = Keyring(["a-key-of-the-environment"], file, Limits(Rate(1, 1)))
    unlimited, limited, named = (ring.find(key) for key in (alice, bob, b"a-key-of-the-environment"))
    assert unlimited is not None
    assert unlimited.allowance is None
    assert limited is not None
    assert limited.allowance is not None
    assert named is not None
    assert named.allowance is not None


def test_a_broken_file_is_told_as_the_setting_that_names_it(file: Path) -> None:
    file.write_text("{}")
    with pytest.raises(InvalidSettings, match=r"FORGER_KEYS_FILE=.*, line 1: id: is missing; allowed: "):
        Keyring(file=file)
    file.unlink()
    with pytest.raises(InvalidSettings, match=r"FORGER_KEYS_FILE=.*there is no such file"):
        Keyring(file=file)


def test_without_keys_nothing_is_asked_and_nothing_watched() -> None:
    ring = Keyring()
    ring.watch()
    assert not ring.is_on
    assert ring._watcher is None
    ring.close()


def test_a_ring_shows_no_key_and_no_hash(file: Path) -> None:
    alice = add(file, "alice")
    ring = Keyring(["a-key-of-the-environment"], file)
    holder = ring.find(alice)
    shown = repr(ring) + repr(holder) + repr(vars(ring))
    for secret in (alice.decode(), hash_of(alice.decode())[7:], "a-key-of-the-environment"):
        assert secret not in shown
