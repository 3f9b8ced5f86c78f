"""The command ``forger``: what it prints and writes, and the status it ends with."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from forger import Client, recipe_in
from forger.cli.main import main
from forger.cli.parser import parser

Forger = Callable[..., tuple[int, str, str]]


@pytest.fixture
def forger(
    server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Forger:
    """Return the command, which gives its status and what it wrote to either stream."""
    monkeypatch.setenv("FORGER_URL", server.url)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_models(forger: Forger) -> None:
    status, out, err = forger("models")
    assert (status, err) == (0, "")
    assert "grey:1 (default)  6 × 5 × 1  10 classes: zero, one," in out
    assert "vector:1  2\n" in out


def test_sample_draws_what_python_draws(forger: Forger, client: Client) -> None:
    status, out, _ = forger("sample", "--seed", "4", "-n", "9", "--class", "3", "-o", "grid.png")
    assert (status, out) == (0, "grid.png: grey:1, seed 4\n")
    expected = client.generate(9, seed=4, class_label=3).grid()
    with Image.open("grid.png") as image:
        assert image.tobytes() == expected.tobytes()


def test_one_sample_carries_its_recipe_and_is_replayed(forger: Forger) -> None:
    assert (
        forger("sample", "--seed", "4", "--index", "7", "--truncation", "threshold:0.7", "-o", "a.png")[0]
        == 0
    )
    recipe = recipe_in("a.png")
    assert (recipe["seed"], recipe["index"], recipe["truncation"]) == (
        4,
        7,
        {"mode": "threshold", "value": 0.7},
    )
    status, out, _ = forger("replay", "a.png")
    assert (status, out) == (0, "a.png: the same, to the last pixel\n")
    with Image.open("a.png") as image:
        text, changed = image.text, image.point(lambda level: level ^ 8)  # type: ignore[attr-defined]
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("forger", text["forger"])
    changed.save("a.png", pnginfo=told)
    status, _, err = forger("replay", "a.png")
    assert status == 1
    assert "differs by up to 8 levels" in err


def test_a_seed_that_was_drawn_is_told(forger: Forger) -> None:
    seed = forger("sample", "-o", "a.png")[1].split()[-1]
    first = Path("a.png").read_bytes()
    forger("sample", "--seed", seed, "-o", "b.png")
    assert Path("b.png").read_bytes() == first


def test_vectors_are_saved_as_arrays(forger: Forger, client: Client) -> None:
    assert forger("sample", "--model", "vector", "-n", "5", "--seed", "1", "-o", "v.npy")[0] == 0
    assert (np.load("v.npy") == client.generate(5, model="vector", seed=1).array).all()
    status, _, err = forger("sample", "--model", "vector", "-o", "v.png")
    assert status == 2
    assert "vectors" in err


def test_arithmetic_and_walk(forger: Forger) -> None:
    text = "42:0,3,7 - 9:1,2,4 + 5:0,1,2"
    status, out, _ = forger("arithmetic", text, "--class", "eight", "--jitter", "8", "-o", "a.png")
    assert (status, out) == (0, "a.png: grey:1, the result and 8 neighbours\n")
    with Image.open("a.png") as image:
        assert image.size == (15, 18)
    for name in ("walk.webp", "walk.gif", "walk.png"):
        status, out, _ = forger("walk", "1@one", "2@seven", "3@2", "--steps", "5", "--loop", "-o", name)
        assert (status, out) == (0, f"{name}: grey:1, 12 frames\n")
        with Image.open(name) as image:
            assert getattr(image, "n_frames", 1) > 2


def test_bulk_and_verify(forger: Forger) -> None:
    command = ["bulk", "-n", "60", "--seed", "1", "--class", "balanced", "--sink", "folder:out"]
    status, out, err = forger(*command)
    assert status == 0
    assert out.startswith("folder:out: 60 images of grey:1, seed 1; 60 now")
    assert err == ""  # no bar without a terminal
    assert forger(*command)[0] == 2
    status, out, _ = forger(*command, "--resume")
    assert (status, out) == (0, "folder:out: 60 images of grey:1, seed 1; 0 now\n")
    status, out, _ = forger("verify", "out")
    assert (status, out) == (0, "out: 60 of 60 images, folder: sound\n")
    next(Path("out").glob("*/*.png")).write_bytes(b"")
    status, out, err = forger("verify", "out")
    assert status == 1
    assert "59 of 60" in out
    assert "has changed" in err


def test_images_that_cannot_be_drawn_end_in_status_1(forger: Forger) -> None:
    command = ["bulk", "-n", "300", "--seed", "0", "--model", "patchy", "--sink", "npz:out.npz", "--resume"]
    status, _, err = forger(*command)
    assert status == 1
    assert "model-output" in err
    assert "--allow-missing finishes without them" in err
    assert forger("verify", "out.npz")[0] == 2
    for _ in range(2):
        status, _, err = forger(*command, "--allow-missing")
        assert status == 1
        assert "it is finished without them" in err
    status, out, _ = forger("verify", "out.npz")
    assert status == 0
    assert "of 300 images" in out


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["sample", "-o", "a.xyz"], 2, "a.xyz"),
        (["sample", "-o", "no/such/folder/a.png"], 1, "no/such/folder"),
        (["sample", "--class", "eleven", "-o", "a.png"], 1, "eleven"),
        (["sample", "--class", "three=x", "-o", "a.png"], 2, "three=0.6"),
        (["sample", "--truncation", "0.7", "-o", "a.png"], 2, "threshold:0.7"),
        (["sample", "--model", "nobody", "-o", "a.png"], 1, "nobody"),
        (["sample", "-n", "0", "-o", "a.png"], 1, "/n"),
        (["arithmetic", "1 2", "-o", "a.png"], 2, "42:0,3"),
        (["walk", "1", "-o", "a.webp"], 1, "keyframes"),
        (["walk", "1", "2", "-o", "a.jpg"], 2, ".webp"),
        (["walk", "1", "2", "--fps", "0", "-o", "a.webp"], 2, "fps"),
        (["bulk", "-n", "5", "--sink", "out"], 2, "npz:PATH"),
        (["bulk", "-n", "5", "--sink", "npz:o.npz", "--concurrency", "-2"], 2, "concurrency"),
        (["verify", "nothing"], 2, "no finished run"),
        (["replay", "nothing.png"], 2, "nothing.png"),
        (["models", "--url", "localhost"], 2, "address"),
        ([], 2, "COMMAND"),
        (["draw"], 2, "invalid choice"),
        (["admin"], 2, "COMMAND"),
        (["admin", "load"], 2, "REFERENCE"),
        (["admin", "load", "grey"], 2, "mnist:2"),
        (["admin", "unpin", "grey:1"], 2, "'grey'"),
        (["admin", "models"], 1, "404"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], status: int, told: str, forger: Forger
) -> None:
    ended, out, err = forger(*arguments)
    assert (ended, out) == (status, "")
    assert told in err
    assert "Traceback" not in err


def test_a_service_that_is_not_there_is_told(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forger.core.Retries", lambda: __import__("forger").NEVER)
    status, _, err = forger("models", "--url", "http://127.0.0.1:9")
    assert status == 1
    assert err.startswith("forger: no answer from http://127.0.0.1:9/models, tried once")


def test_every_command_and_option_says_what_it_is(forger: Forger) -> None:
    named = dict(commands_of(parser()))
    assert named.keys() >= {"models", "sample", "arithmetic", "walk", "bulk", "verify", "replay", "admin pin"}
    for name, command in named.items():
        assert command.description, name
        for action in command._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), (name, action.dest)
        status, out, _ = forger(*name.split(), "--help")
        assert status == 0
        assert out.startswith(f"usage: forger {name}")


def commands_of(whole: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command, also those behind another word, by all of its words."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, one in action.choices.items():
                yield word, one
                for words, inner in commands_of(one):
                    yield f"{word} {words}", inner
