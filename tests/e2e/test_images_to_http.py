"""The main job: a folder of real images becomes a served model, by the commands a user types."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.fakes.site import LocalService, local_service
from training.cli import main

SIZE = (12, 20)  # height, width: not square
CLASSES = ("even digits", "odd digits")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of coloured, oblong pictures made of real handwriting."""
    root = tmp_path_factory.mktemp("photos")
    for number, (digit, pixels) in enumerate(zip(load_digits().target, load_digits().images, strict=True)):
        if number == 80:
            break
        grey = Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((20, 12))
        tinted = Image.merge("RGB", (grey, grey.point(lambda level: level // 2), grey.point(lambda _: 30)))
        folder = root / CLASSES[digit % 2]
        folder.mkdir(exist_ok=True)
        tinted.save(folder / f"{number}.png")
    return root


def test_from_a_folder_of_images_to_http(photos: Path, tmp_path: Path) -> None:
    common = ["--cache", str(tmp_path / "cache")]
    run, models = str(tmp_path / "run"), tmp_path / "models"
    small = ["networks.generator_channels=4", "networks.discriminator_channels=4", "batch_size=16"]
    settings = [part for setting in small for part in ("--set", setting)]
    assert main(["train", "--data", str(photos), "--out", run, "--kimg", "0.1", *settings, *common]) == 0
    assert main(["export", run, "--name", "parity", "--models", str(models), *common]) == 0

    with local_service(models) as service:
        described = service.get("/models/parity").json()
        assert [entry["name"] for entry in described["classes"]] == list(CLASSES)
        assert described["output"]["shape"] == [*SIZE, 3]
        assert set(described["evaluation"]["rows"]) == {"generated", "real", "noise"}
        body = {"class_label": "odd digits", "seed": 3}
        picture = service.generate(body, accept="image/png")
        assert picture.headers["x-class-label"] == "odd%20digits"
        pixels = np.asarray(Image.open(io.BytesIO(picture.content)))
        assert pixels.shape == (*SIZE, 3)
        array = np.load(io.BytesIO(service.generate(body | {"n": 5}, accept="application/x-npy").content))
        assert array.shape == (5, *SIZE, 3)
        assert np.array_equal(array[0], pixels)
        _check_every_way_to_draw(service)
        grid = service.generate({"class_label": "balanced", "n": 6, "layout": "grid"}, accept="image/png")
        assert Image.open(io.BytesIO(grid.content)).mode == "RGB"


def _check_every_way_to_draw(service: LocalService) -> None:
    """Oblong pictures in colour are summed, walked through, animated, packed and linked as digits are."""
    terms = [{"weight": 1, "of": [{"seed": label}], "class_label": label} for label in (0, 1)]
    summed = service.post("/arithmetic", {"terms": terms, "jitter": {"n": 2}}, accept="application/x-npy")
    assert np.load(io.BytesIO(summed.content)).shape == (3, *SIZE, 3)
    keyframes = [{"latent": {"seed": seed}, "class_label": seed % 2} for seed in (1, 2, 3)]
    walk = {"keyframes": keyframes, "steps": 4}
    walked = np.load(io.BytesIO(service.post("/interpolate", walk, accept="application/x-npy").content))
    assert walked.shape == (7, *SIZE, 3)
    for kind in ("gif", "webp"):
        content = service.post("/interpolate", walk, accept=f"image/{kind}").content
        picture = Image.open(io.BytesIO(content))
        assert (picture.size, picture.n_frames) == ((SIZE[1], SIZE[0]), 7)
    for file_format in ("jpeg", "webp", "png"):
        packed = service.post(
            "/interpolate", {**walk, "output_format": file_format}, accept="application/zip"
        )
        with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
            shown = Image.open(archive.open(f"000000.{file_format}"))
            assert (shown.mode, shown.size) == ("RGB", (SIZE[1], SIZE[0]))
    linked = service.get("/images/parity/1/0.png?class=odd%20digits").content
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(linked))), walked[0])
    assert Image.open(io.BytesIO(service.get("/models/parity/preview.png").content)).format == "PNG"
