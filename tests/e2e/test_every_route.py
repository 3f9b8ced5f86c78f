"""Every way to draw, over a real connection to the real server: BentoML changes nothing of it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.fakes.events import parse_events
from tests.fakes.server import ServerProcess

TERMS = [{"weight": 1, "of": [{"seed": 1}, {"seed": 2}]}, {"weight": -1, "of": [{"seed": 3}]}]
SUM = {"terms": TERMS, "class_label": "three", "jitter": {"n": 3}, "include_terms": True}
WALK = {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}], "steps": 4, "loop": True}


def post(server: ServerProcess, path: str, body: object, accept: str = "application/json") -> httpx.Response:
    response = httpx.post(f"{server.url}{path}", json=body, headers={"accept": accept}, timeout=60.0)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(("path", "body", "count"), [("/arithmetic", SUM, 6), ("/interpolate", WALK, 6)])
def test_each_envelope_holds_the_same_images(
    server: ServerProcess, path: str, body: dict[str, object], count: int
) -> None:
    data = post(server, path, body).json()["data"]
    array = np.load(io.BytesIO(post(server, path, body, "application/x-npy").content))
    packed = zipfile.ZipFile(io.BytesIO(post(server, path, body, "application/zip").content))
    *images, (last, _) = parse_events(post(server, path, body, "text/event-stream").text)
    assert len(data) == len(array) == len(images) == len(packed.namelist()) - 1 == count
    assert last == "done"
    assert [item for _, item in images] == data
    for number, pixels in enumerate(array):
        assert np.array_equal(np.asarray(Image.open(packed.open(f"{number:06d}.png"))), pixels[:, :, 0])


def test_an_animation_comes_bare(server: ServerProcess) -> None:
    for kind in ("gif", "webp"):
        picture = Image.open(io.BytesIO(post(server, "/interpolate", WALK, f"image/{kind}").content))
        assert (picture.format, picture.n_frames) == (kind.upper(), 6)


def test_a_stream_tells_its_problem_in_itself(server: ServerProcess) -> None:
    body = {"model": "fragile", "latents": [{"seed": 1}, {"latent": [1234.0, 0, 0, 0]}]}
    response = post(server, "/generate", body, "text/event-stream")
    *_, (last, problem) = parse_events(response.text)
    assert (last, problem["type"]) == ("error", "/problems/model-output")
    assert problem["request_id"] == response.headers["x-request-id"]


def test_a_reader_that_leaves_a_stream_does_no_harm(server: ServerProcess) -> None:
    body = {"model": "vector", "n": 65_536, "seed": 1}
    headers = {"accept": "text/event-stream"}
    with httpx.stream("POST", f"{server.url}/generate", json=body, headers=headers) as response:
        assert next(response.iter_bytes()).startswith(b"event: image\n")
    assert post(server, "/generate", {"seed": 1}).json()["data"][0]["index"] == 0


def test_a_link_is_kept_and_asked_about_again(server: ServerProcess) -> None:
    with server.client() as client:
        first = client.get("/images/grey/42/3.png", params={"class": "three", "truncation": "threshold:0.7"})
        assert first.status_code == 200
        again = client.get(first.url, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        recipe = json.loads(Image.open(io.BytesIO(first.content)).text["forger"])
        assert (recipe["seed"], recipe["index"], recipe["class_weights"]) == (42, 3, {"three": 1.0})
        kept = client.get("/images/grey/42/3.png", params={"digest": first.headers["x-model-digest"]})
        assert kept.headers["cache-control"].endswith("immutable")
        assert client.get("/models/grey/preview.png").headers["content-type"] == "image/png"


def test_keys_guard_the_real_server_too(served_models: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "home", models_dir=served_models, api_keys="a-key-of-this-test") as server:
        refused = httpx.post(f"{server.url}/interpolate", json=WALK)
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        headers = {"authorization": "Bearer a-key-of-this-test"}
        assert httpx.post(f"{server.url}/generate", json={}, headers=headers).status_code == 200
        assert "a-key-of-this-test" not in server.log()
