"""``verify`` finds each kind of damage, and ``replay`` draws a file again from the recipe in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from forger import Client, L, Misuse, recipe_in, verify
from tests.sdk.places import SINKS, place_in, sink_in

N = 40


@pytest.fixture(scope="module")
def finished(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of every sink, which tests copy."""
    root = tmp_path_factory.mktemp("finished")
    with Client(server.url) as client:
        for kind in SINKS:
            client.bulk(N, sink=sink_in(kind, root / kind), seed=1, class_label="balanced")
    return root


@pytest.fixture(params=SINKS)
def copied(request: pytest.FixtureRequest, finished: Path, tmp_path: Path) -> tuple[str, Path]:
    """Return a sink's kind, and what it wrote."""
    shutil.copytree(finished / request.param, tmp_path / "copy")
    return request.param, place_in(request.param, tmp_path / "copy")


def content_files(place: Path) -> list[Path]:
    """Return the files that hold images."""
    if place.is_file():
        return [place]
    suffixes = {".png", ".tar", ".parquet"}
    return sorted(path for path in place.rglob("*") if path.suffix in suffixes)


def test_what_was_written_is_sound(copied: tuple[str, Path]) -> None:
    kind, place = copied
    found = verify(place)
    assert (found.kind, found.images, found.faults) == (kind, N, ())


def test_a_flipped_bit_is_found(copied: tuple[str, Path]) -> None:
    _, place = copied
    file = content_files(place)[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = verify(place)
    assert not found.is_sound
    assert any("changed" in fault for fault in found.faults)


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_torn_file_is_found(kept: int, copied: tuple[str, Path]) -> None:
    _, place = copied
    file = content_files(place)[-1]
    file.write_bytes(file.read_bytes()[:kept])
    assert not verify(place).is_sound


def test_a_missing_file_is_found_and_named(copied: tuple[str, Path]) -> None:
    _, place = copied
    file = content_files(place)[0]
    file.unlink()
    if file == place:
        file.parent.joinpath(f"{place.name}.forger.json").rename(place.parent / "kept.json")
        with pytest.raises(Misuse, match="no finished run"):
            verify(place)
        return
    found = verify(place)
    assert any(file.name in fault and "missing" in fault for fault in found.faults)
    assert found.images < N


def test_lines_that_were_taken_out_are_counted(finished: Path, tmp_path: Path) -> None:
    """Also where somebody has put the digest right."""
    from hashlib import sha256

    shutil.copytree(finished / "folder", tmp_path / "copy")
    out = tmp_path / "copy/out"
    lines = (out / "metadata.jsonl").read_text().splitlines(keepends=True)[:-3]
    (out / "metadata.jsonl").write_text("".join(lines))
    manifest = json.loads((out / "forger.json").read_text())
    manifest["files"]["metadata.jsonl"] = sha256("".join(lines).encode()).hexdigest()
    (out / "forger.json").write_text(json.dumps(manifest))
    *strays, counted = verify(out).faults
    assert counted == f"{N - 3} images are there and sound, {N} were drawn"
    assert len(strays) == 3


def test_another_image_in_its_place_is_found(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "folder", tmp_path / "copy")
    one, other = content_files(tmp_path / "copy/out")[:2]
    shutil.copy(other, one)
    assert len([fault for fault in verify(tmp_path / "copy/out").faults if "has changed" in fault]) == 1


def test_an_array_of_another_shape_is_found(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "npz", tmp_path / "copy")
    np.savez(tmp_path / "copy/out.npz", arr_0=np.zeros((N, 3, 3, 1), np.uint8), arr_1=np.zeros(N, np.int64))
    assert any("shape" in fault for fault in verify(tmp_path / "copy/out.npz").faults)
    np.savez(tmp_path / "copy/out.npz", arr_0=np.zeros((N, 6, 5, 1), np.uint8), arr_1=np.zeros(3, np.int64))
    assert any("classes of 3" in fault for fault in verify(tmp_path / "copy/out.npz").faults)


@pytest.mark.parametrize("kind", ["folder", "wds", "parquet"])
def test_a_file_that_does_not_belong_there_is_found(kind: str, finished: Path, tmp_path: Path) -> None:
    """Whoever loads the folder would load it too."""
    shutil.copytree(finished / kind, tmp_path / "copy")
    file = content_files(tmp_path / "copy/out")[0]
    stray = file.with_name(f"stray{file.suffix}")
    shutil.copy(file, stray)
    name = stray.relative_to(tmp_path / "copy/out").as_posix()
    assert verify(tmp_path / "copy/out").faults == (f"{name} is not of this run",)


def test_where_nothing_lies_is_a_misuse(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.npz"):
        with pytest.raises(Misuse, match="no finished run"):
            verify(place)


def test_each_file_of_a_run_draws_itself_again(finished: Path, client: Client) -> None:
    for path in content_files(finished / "folder/out")[:5]:
        again = client.replay(path)
        assert (again.is_same, again.is_same_model) == (True, True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda client: client.generate(1, seed=3, class_label={"one": 1}, truncation=("scale", 0.5)),
        lambda client: client.generate(1, model="colour", seed=3, index=9),
        lambda client: client.generate(latents=L(latent=[0.1, 1, -1, 2]), class_label=1, return_latents=True),
        lambda client: client.arithmetic(L(1) - L(2), class_label="nine", return_latents=True),
        lambda client: client.interpolate([L(1), L(2)], steps=3, return_latents=True)[1:2],
    ],
)
def test_what_the_client_saves_draws_itself_again(draw: Any, client: Client, tmp_path: Path) -> None:
    item = draw(client)[0]
    item.save(tmp_path / "image.png")
    assert recipe_in(tmp_path / "image.png") == item.recipe
    assert client.replay(tmp_path / "image.png").is_same


def test_a_recipe_that_the_client_tells_is_the_services(client: Client, tmp_path: Path) -> None:
    body = {"seed": 4, "index": 2, "class_label": {"one": 0.5, "two": 0.5}}
    (tmp_path / "a.png").write_bytes(client.file("/generate", body, "image/png"))
    item = client.generate(1, seed=4, index=2, class_label={"one": 0.5, "two": 0.5})[0]
    assert recipe_in(tmp_path / "a.png") == item.recipe


def test_a_grid_of_one_series_draws_itself_again(client: Client, tmp_path: Path) -> None:
    body = {"seed": 4, "n": 9, "layout": "grid", "class_label": "three"}
    (tmp_path / "grid.png").write_bytes(client.file("/generate", body, "image/png"))
    assert client.replay(tmp_path / "grid.png").is_same


def test_an_image_that_was_changed_differs(client: Client, tmp_path: Path) -> None:
    item = client.generate(1, seed=4)[0]
    item.array[0, 0, 0] ^= 0x10
    item.save(tmp_path / "image.png")
    again = client.replay(tmp_path / "image.png")
    assert (again.is_same, again.largest_difference) == (False, 16)


def test_an_image_without_a_recipe_cannot_be_drawn_again(client: Client, tmp_path: Path) -> None:
    Image.new("L", (5, 6)).save(tmp_path / "plain.png")
    (tmp_path / "no.png").write_bytes(b"no image")
    for name in ("plain.png", "no.png", "nothing.png"):
        with pytest.raises(Misuse):
            client.replay(tmp_path / name)
