"""A model is loaded by another process first: what ends that one is refused, and the service goes on."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.layout import ModelDirectory
from service.errors import UnusableModel
from service.models import prover as proving
from service.models.prover import Prover
from service.models.verification import verified
from service.settings import Settings
from tests.fakes.hostile import rewrite_graph
from tests.fakes.hostile_graphs import FORBIDDEN
from tests.fakes.models import CONDITIONAL, FakeModel, write_model


@pytest.fixture
def prover(tmp_path: Path) -> Iterator[Prover]:
    """A prover that remembers nothing of others."""
    one = Prover(Settings(models_dir=tmp_path, max_batch=4, threads=1), "cpu", tmp_path / "proved")
    yield one
    one.rest()


def digest_of(directory: ModelDirectory) -> str:
    return verified(directory, 2**30).digest


def refusal(prover: Prover, directory: ModelDirectory) -> str:
    with pytest.raises(UnusableModel) as caught:
        prover.prove(directory, digest_of(directory))
    return str(caught.value)


def _saying(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_sound_models_pass_and_others_are_refused_with_their_reason_by_one_process(
    tmp_path: Path, prover: Prover
) -> None:
    sound, other = write_model(tmp_path, CONDITIONAL), write_model(tmp_path, FakeModel("other"))
    rewrite_graph(other, FORBIDDEN["a circle"][0])
    prover.prove(sound, digest_of(sound))
    first = prover._process
    assert "in a circle" in refusal(prover, other)
    assert prover._process is first
    prover.rest()
    assert first.returncode is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os; input(); os.abort()", "was ended by it (SIGABRT)"),
        ("import os, signal; input(); os.kill(os.getpid(), signal.SIGSEGV)", "was ended by it (SIGSEGV)"),
        ("input(); raise SystemExit(3)", "ended with status 3"),
        ("input(); print('{\"digest\": ', end='')", "ended with status 0"),
        ("input(); print('[]', flush=True); input()", "was ended by it (SIGKILL)"),
    ],
)
def test_what_ends_the_process_is_refused_and_the_next_is_tried_by_another(
    tmp_path: Path, prover: Prover, text: str, reason: str
) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    usual, prover.command = prover.command, _saying(text)
    assert reason in refusal(prover, directory)
    prover.command = usual
    prover.prove(directory, digest_of(directory))


def test_what_never_ends_is_refused_in_time(
    tmp_path: Path, prover: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "PATIENCE_S", 0.5)
    prover.command = _saying("import time; time.sleep(1000)")
    assert "longer than" in refusal(prover, write_model(tmp_path, CONDITIONAL))
    assert prover._process is None


def test_a_service_that_stops_waits_for_no_trial(tmp_path: Path, prover: Prover) -> None:
    prover.command = _saying("import time; print(end='', flush=True); time.sleep(1000)")
    directory = write_model(tmp_path, CONDITIONAL)
    digest, said = digest_of(directory), []

    def prove() -> None:
        try:
            prover.prove(directory, digest)
        except UnusableModel as error:
            said.append(str(error))

    thread = threading.Thread(target=prove)
    thread.start()
    while prover._process is None:
        thread.join(0.01)
    prover.close()
    thread.join(60)
    assert len(said) == 1
    assert "the service stops" in refusal(prover, directory)


def test_what_survived_is_not_tried_again_by_this_or_another_worker(tmp_path: Path, prover: Prover) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    measured = prover.prove(directory, digest_of(directory))
    assert measured is not None
    settings = Settings(models_dir=tmp_path, max_batch=4, threads=1)
    for again, known in ((prover, measured), (Prover(settings, "cpu", tmp_path / "proved"), None)):
        again.command = _saying("raise SystemExit(1)")
        again.rest()
        assert again.prove(directory, digest_of(directory)) == known
    # Other bytes are another model; so is the same one that is to be run otherwise.
    wider = Prover(Settings(models_dir=tmp_path, max_batch=8, threads=1), "cpu", tmp_path / "proved")
    wider.command = _saying("raise SystemExit(1)")
    assert "ended with status 1" in refusal(wider, directory)


def test_a_directory_that_is_another_by_then_is_not_taken_for_proved(tmp_path: Path, prover: Prover) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    digest = digest_of(directory)
    document = json.loads(directory.manifest.read_text())
    directory.manifest.write_text(json.dumps(document | {"description": "Another."}))
    with pytest.raises(UnusableModel, match="changed while it was read"):
        prover.prove(directory, digest)


def test_no_secret_is_handed_over(tmp_path: Path, prover: Prover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGER_API_KEYS", "a-key-of-this-test")
    found = tmp_path / "found"
    prover.command = _saying(f"import os; input(); open({str(found)!r}, 'w').write(repr(dict(os.environ)))")
    refusal(prover, write_model(tmp_path, CONDITIONAL))
    assert "a-key-of-this-test" not in found.read_text()
    assert "PATH" in found.read_text()


def test_a_trial_is_given_little_memory(tmp_path: Path) -> None:
    """What asks for more than its budget fails there, and does not fill the machine."""
    settings = Settings(models_dir=tmp_path, max_batch=4, threads=1, model_budget_mb=16)
    prover = Prover(settings, "cpu", None)
    directory = write_model(tmp_path, CONDITIONAL)
    limits = tmp_path / "limits"
    prover.command = _saying(
        f"import sys; sys.argv[1:] = [{json.dumps(prover.command[-1])!r}]\n"
        "import service.models.trial as trial, resource, json\n"
        "sys.argv[1] = json.loads(sys.argv[1])\n"
        "usual = trial._try\n"
        "def spy(*asked):\n"
        f"    open({str(limits)!r}, 'w').write(str(resource.getrlimit(resource.RLIMIT_AS)[0]))\n"
        "    return usual(*asked)\n"
        "trial._try = spy\n"
        "trial.main()"
    )
    prover.prove(directory, digest_of(directory))
    prover.rest()
    assert int(limits.read_text()) < 2**31 + 2**26
