"""Everything that the client can do, against a real server, by both of its faces with the same arguments."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from forger import Client, Drawn, L, Misuse, Walk
from forger.errors import InvalidInput, UnknownModel
from tests.fakes.models import DIGITS
from tests.sdk.awaited import KINDS, client_of


@pytest.fixture(params=KINDS)
def both(request: pytest.FixtureRequest, server: Any) -> Iterator[Any]:
    """Each client in turn."""
    with client_of(request.param, server.url) as client:
        yield client


def test_models(both: Any) -> None:
    listed = {model.name: model for model in both.models()}
    grey, vector = listed["grey"], listed["vector"]
    assert (grey.classes, grey.output_shape, grey.draws_images) == (DIGITS, (6, 5, 1), True)
    assert (grey.is_default, grey.version, grey.versions, grey.max_images) == (True, 1, (1,), 64)
    assert (vector.classes, vector.draws_images, vector.max_images) == (None, False, 65_536)
    assert grey.digest.startswith("sha256:")
    assert both.model("grey:1") == both.model() == grey
    assert grey.document["licence"] == "Apache-2.0"
    with pytest.raises(UnknownModel):
        both.model("nobody")
    with pytest.raises(UnknownModel):
        both.model("grey:9")


def test_is_ready(both: Any) -> None:
    assert both.is_ready()


def test_generate_is_what_the_service_draws(both: Any, server: Any) -> None:
    body = {"n": 3, "seed": 5, "index": 2, "class_label": ["one", 2, {"3": 1, "four": 1}]}
    body["truncation"] = {"mode": "scale", "value": 0.5}
    plain = server.generate({**body, "return_latents": True}).json()
    drawn = both.generate(
        3, seed=5, index=2, class_label=body["class_label"], truncation=("scale", 0.5), return_latents=True
    )
    assert isinstance(drawn, Drawn)
    assert drawn.origin.digest == plain["model_digest"]
    for item, told in zip(drawn, plain["data"], strict=True):
        with Image.open(io.BytesIO(__import__("base64").b64decode(told["b64_json"]))) as image:
            assert (np.asarray(image)[..., None] == item.array).all()
        assert (item.seed, item.index, item.role) == (told["seed"], told["index"], "sample")
        label = item.label
        assert {"index": label.index, "name": label.name, "weights": label.weights} == told["class_label"]
        assert item.latent.shape == (4,)
    assert drawn.labels.tolist() == [1, 2, -1]
    again = both.generate(latents=[L(latent=item.latent) for item in drawn], class_label=body["class_label"],
                          truncation=("scale", 0.5))  # fmt: skip
    assert (again.array == drawn.array).all()


def test_generate_without_anything_draws_one_and_tells_its_seed(both: Any) -> None:
    (item,) = both.generate()
    (again,) = both.generate(seed=item.seed)
    assert (again.array == item.array).all()
    assert both.generate()[0].seed != item.seed


def test_colour_vectors_and_z(both: Any) -> None:
    assert both.generate(2, model="colour", seed=1).array.shape == (2, 4, 9, 3)
    assert both.generate(2, model="colour", seed=1)[0].image.mode == "RGB"
    vectors = both.generate(100, model="vector", seed=1)
    told = both.generate(100, model="vector", seed=1, return_latents=True)
    assert vectors.array.shape == (100, 2)
    assert vectors.array.dtype == np.float32
    assert np.allclose(vectors.array, told.array, rtol=1e-6)
    assert told[7].latent.shape == (1,)
    by_z = both.generate(model="vector", latents=L(z=[[0.5], [0.25]]))
    assert by_z.array.shape == (2, 2)
    for wrong in (vectors.grid, lambda: vectors[0].image):
        with pytest.raises(Misuse, match="vectors"):
            wrong()


def test_stream_yields_what_generate_draws(both: Any) -> None:
    how: dict[str, Any] = {"seed": 8, "class_label": "balanced", "truncation": ("threshold", 1.0)}
    streamed, drawn = list(both.stream(100, **how)), both.generate(100, **how)
    assert [(item.index, item.label, item.recipe) for item in streamed] == [
        (item.index, item.label, item.recipe) for item in drawn
    ]
    assert (np.stack([item.array for item in streamed]) == drawn.array).all()
    (vector,) = both.stream(1, model="vector", seed=1)
    assert np.allclose(vector.array, both.generate(1, model="vector", seed=1)[0].array)
    with pytest.raises(InvalidInput):
        list(both.stream(2, class_label="eleven"))


def test_arithmetic(both: Any) -> None:
    total = L(42, [0, 3, 7]) - L(9, [1, 2, 4]) + L(5, [0, 1, 2])
    found = both.arithmetic(total, class_label="eight", jitter=8, include_terms=True, return_latents=True)
    roles = [item.role for item in found]
    assert roles == ["result"] + ["neighbour"] * 8 + ["term"] * 3
    assert len(found.with_role("neighbour")) == 8
    assert {item.label.name for item in found} == {"eight"}
    far = both.arithmetic(
        total, class_label="eight", jitter={"n": 2, "scale": 4, "seed": 1}, normalize="none"
    )
    assert len(far) == 3
    labelled = both.arithmetic(L(1, class_label="one") + L(2, class_label="two"))
    assert labelled[0].label.weights == {"one": 0.5, "two": 0.5}
    alone = both.arithmetic(L(3, class_label="one"))
    assert (alone.array == both.generate(1, seed=3, class_label="one").array).all()
    with pytest.raises(InvalidInput):
        both.arithmetic(L(1) - L(1), class_label=1)
    vectors = both.arithmetic(L(1) + L(2), model="vector", jitter=2)
    assert [item.role for item in vectors] == ["result", "neighbour", "neighbour"]


@pytest.mark.parametrize("name", ["walk.webp", "walk.gif", "walk.png"])
def test_interpolate(name: str, both: Any, tmp_path: Path) -> None:
    ends = [L(1, class_label="one"), L(2, class_label="seven")]
    walk = both.interpolate(ends, steps=6, loop=True)
    assert isinstance(walk, Walk)
    assert len(walk) == 10
    assert (walk[0].array == both.generate(1, seed=1, class_label="one")[0].array).all()
    walk.save(tmp_path / name, fps=24)
    with Image.open(tmp_path / name) as image:
        assert image.size == (5, 6)
        assert 2 <= getattr(image, "n_frames", 1) <= 10
    assert len(both.interpolate([L(1), L(2), L(3)], method="cubic", steps=4, truncation=("scale", 0.5))) == 7


def test_files_come_as_they_are(both: Any) -> None:
    body = {"n": 4, "seed": 1, "layout": "grid"}
    for form, name in (("image/png", "PNG"), ("image/webp", "WEBP"), ("image/jpeg", "JPEG")):
        with Image.open(io.BytesIO(both.file("/generate", body, form))) as image:
            assert (image.format, image.size) == (name, (12, 14))
    walk = {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}]}
    with Image.open(io.BytesIO(both.file("/interpolate", walk, "image/gif"))) as image:
        assert image.format == "GIF"
    histogram = both.file("/generate", {"model": "vector", "n": 100}, "image/png")
    assert histogram.startswith(b"\x89PNG")


def test_links_lead_to_the_image(both: Any) -> None:
    label, truncation = "three", ("threshold", 0.7)
    for link in (
        both.link(42, 3, class_label=label, truncation=truncation),
        both.link(42, 3, model="grey:1", class_label=3, truncation=truncation, for_ever=True),
    ):
        answer = httpx.get(link)
        assert answer.status_code == 200
        assert ("immutable" in answer.headers["cache-control"]) == ("digest" in link)
        with Image.open(io.BytesIO(answer.content)) as image:
            expected = both.generate(1, seed=42, index=3, class_label=label, truncation=truncation)
            assert (np.asarray(image)[..., None] == expected[0].array).all()


def test_a_model_without_a_preview_says_so_or_draws_one(both: Any) -> None:
    for reference in ("grey", "grey:1"):
        assert both.preview(reference).startswith(b"\x89PNG")


def test_bulk_replay_and_verify(both: Any, tmp_path: Path) -> None:
    report = both.bulk(30, sink=f"folder:{tmp_path}/out", seed=1, class_label="random", progress=False)
    assert report.is_complete
    assert report.seconds > 0
    for path in sorted((tmp_path / "out").glob("*/*.png"))[:3]:
        assert both.replay(path).is_same


def test_what_was_drawn_is_a_sequence(client: Client) -> None:
    drawn = client.generate(5, seed=1)
    assert (len(drawn), drawn[-1].index, [item.index for item in drawn[1:3]]) == (5, 4, [1, 2])
    assert repr(drawn) == "Drawn(5 of grey:1)"
    assert repr(drawn[5:]) == "Drawn(0)"
    assert drawn.grid(columns=5).size == (25, 6)
    for wrong in (0, -1):
        with pytest.raises(Misuse, match="columns"):
            drawn.grid(columns=wrong)


def test_connections_are_used_again(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    with caplog.at_level(logging.DEBUG, "httpcore"), Client(server.url) as client:
        for _ in range(10):
            client.generate(1)
    opened = [record for record in caplog.records if "connect_tcp.started" in record.getMessage()]
    assert len(opened) == 1
