"""Answers as files: archives of items, and animations."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from service.encoding import encode_animation
from tests.fakes.site import LocalService

PATH = {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}, {"latent": {"seed": 3}}], "steps": 5}
FRAMES = 9
LUMA = np.array([0.299, 0.587, 0.114])


def archive(service: LocalService, path: str, body: dict[str, Any]) -> zipfile.ZipFile:
    response = service.post(path, body, accept="application/zip")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["x-model"] == body.get("model", "grey")
    packed = zipfile.ZipFile(io.BytesIO(response.content))
    assert packed.testzip() is None
    return packed


def frames(content: bytes) -> list[np.ndarray]:
    picture = Image.open(io.BytesIO(content))
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]


@pytest.mark.parametrize(
    ("path", "body", "suffix"),
    [
        ("/generate", {"n": 12, "seed": 3, "return_latents": True}, "png"),
        ("/generate", {"n": 2, "seed": 3, "output_format": "jpeg"}, "jpeg"),
        ("/generate", {"n": 2, "seed": 3, "output_format": "webp", "model": "colour"}, "webp"),
        ("/generate", {"n": 2, "seed": 3, "output_format": "npy", "model": "vector"}, "npy"),
        ("/generate", {"n": 6, "seed": 3, "layout": "grid"}, "png"),
        ("/generate", {"n": 9, "seed": 3, "output_format": "png", "model": "vector"}, "png"),
        ("/interpolate", PATH, "png"),
        ("/interpolate", {**PATH, "output_format": "gif"}, "gif"),
    ],
)
def test_an_archive_holds_the_documents_items(
    service: LocalService, path: str, body: dict[str, Any], suffix: str
) -> None:
    """A file an item and a line an item, with the same bytes and facts as in JSON."""
    data = service.post(path, body).json()["data"]
    packed = archive(service, path, body)
    names = [f"{number:06d}.{suffix}" for number in range(len(data))]
    assert packed.namelist() == [*names, "manifest.jsonl"]
    lines = packed.read("manifest.jsonl").decode().splitlines()
    for name, line, item in zip(names, lines, data, strict=True):
        assert packed.read(name) == base64.b64decode(item.pop("b64_json"))
        assert json.loads(line) == item


def test_an_archive_of_vectors_holds_their_values_in_the_manifest(service: LocalService) -> None:
    body = {"model": "vector", "n": 5, "seed": 1}
    packed = archive(service, "/generate", body)
    assert packed.namelist() == ["manifest.jsonl"]
    lines = packed.read("manifest.jsonl").decode().splitlines()
    assert [json.loads(line) for line in lines] == service.post("/generate", body).json()["data"]


def test_the_same_request_gives_the_same_archive(service: LocalService) -> None:
    body = {"n": 3, "seed": 5}
    first, second = (service.generate(body, accept="application/zip").content for _ in range(2))
    assert first == second


@pytest.mark.parametrize("model", ["grey", "colour"])
@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_shows_every_image_in_turn(service: LocalService, model: str, kind: str) -> None:
    """To the bit where 256 colours are enough; lossy WebP keeps the brightness of noise at least."""
    body = {**PATH, "model": model, "quality": 100}
    drawn = np.load(io.BytesIO(service.post("/interpolate", body, accept="application/x-npy").content))
    response = service.post("/interpolate", body, accept=f"image/{kind}")
    assert response.headers["content-type"] == f"image/{kind}"
    shown = frames(response.content)
    assert len(shown) == len(drawn) == FRAMES
    expected = np.broadcast_to(drawn, (*drawn.shape[:3], 3)).astype(int)
    for frame, image in zip(shown, expected, strict=True):
        assert kind == "webp" or np.array_equal(frame, image)
        assert np.abs(frame @ LUMA - image @ LUMA).mean() < 8


@pytest.mark.parametrize(
    ("fps", "kind", "total_ms"),
    [
        (12, "gif", 750),
        (50, "gif", 180),
        (60, "gif", 180),
        (1, "gif", 9000),
        (12, "webp", 750),
        (60, "webp", 150),
    ],
)
def test_an_animation_lasts_as_long_as_was_asked(
    service: LocalService, fps: int, kind: str, total_ms: int
) -> None:
    """To its format's unit; a GIF is never faster than viewers show it."""
    content = service.post("/interpolate", {**PATH, "fps": fps}, accept=f"image/{kind}").content
    picture = Image.open(io.BytesIO(content))
    assert picture.info["loop"] == 0
    durations = []
    for frame in ImageSequence.Iterator(picture):
        frame.load()
        durations.append(frame.info["duration"])
    assert abs(sum(durations) - total_ms) <= 10
    assert min(durations) >= (20 if kind == "gif" else 1)


def test_a_still_path_lasts_as_long_as_a_moving_one() -> None:
    """Images that are the same are shown for their time, however the file spells it."""
    content = encode_animation(np.zeros((6, 4, 5, 1), np.uint8), "gif", 90, fps=10)
    picture = Image.open(io.BytesIO(content))
    assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(picture)) == 600


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_every_kind_of_image_can_be_animated(channels: int, kind: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 9, channels), dtype=np.uint8)
    picture = Image.open(io.BytesIO(encode_animation(images, kind, 90, fps=12)))
    assert (picture.size, picture.n_frames) == ((9, 6), 4)


def test_what_is_transparent_does_not_show_the_image_before() -> None:
    """Each frame has its own corner filled, and nothing else."""
    images = np.zeros((4, 8, 8, 4), np.uint8)
    for place, (row, column) in enumerate(((0, 0), (0, 4), (4, 0), (4, 4))):
        images[place, row : row + 4, column : column + 4] = 255
    picture = Image.open(io.BytesIO(encode_animation(images, "gif", 100, fps=12)))
    for frame, image in zip(ImageSequence.Iterator(picture), images, strict=True):
        assert np.array_equal(np.asarray(frame.convert("RGBA"))[:, :, 3], image[:, :, 3])


def test_a_document_can_hold_an_animation(service: LocalService) -> None:
    """``output_format: gif`` without Accept stays JSON: one item with its frames' facts."""
    [item] = service.post("/interpolate", {**PATH, "output_format": "gif"}).json()["data"]
    assert (item["role"], item["content_type"]) == ("animation", "image/gif")
    assert [one["role"] for one in item["items"]] == ["frame"] * FRAMES
    assert len(frames(base64.b64decode(item["b64_json"]))) == FRAMES


@pytest.mark.parametrize(
    ("path", "body", "accept"),
    [
        ("/interpolate", {**PATH, "output_format": "png"}, "image/gif"),
        ("/interpolate", {**PATH, "output_format": "gif"}, "image/webp"),
        ("/interpolate", {**PATH, "layout": "grid"}, "image/gif"),
        ("/interpolate", PATH, "image/png"),
        ("/interpolate", PATH, "image/jpeg"),
        ("/interpolate", {**PATH, "model": "vector", "method": "match"}, "image/gif"),
        ("/generate", {"n": 2}, "image/webp"),
        ("/generate", {"n": 2}, "image/gif"),
        ("/generate", {"output_format": "npy"}, "image/png"),
        ("/generate", {"output_format": "png"}, "application/x-npy"),
    ],
)
def test_a_contradiction_is_406_and_says_what_can_be_made(
    service: LocalService, path: str, body: dict[str, Any], accept: str
) -> None:
    response = service.post(path, body, accept=accept)
    assert response.status_code == 406
    assert "application/json" in response.json()["detail"]


def test_accept_and_output_format_that_agree_are_one_wish(service: LocalService) -> None:
    webp = service.post(
        "/interpolate", {**PATH, "output_format": "webp"}, accept="image/webp;q=0.5, text/plain"
    )
    assert webp.headers["content-type"] == "image/webp"
    still = service.post("/interpolate", {**PATH, "layout": "grid"}, accept="image/webp")
    assert Image.open(io.BytesIO(still.content)).n_frames == 1
    chosen = service.post("/interpolate", PATH, accept="application/json;q=0.1, image/*;q=0.2")
    assert chosen.headers["content-type"] == "image/gif"
