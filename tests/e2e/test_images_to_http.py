"""The main job: a folder of real images becomes a served model, by the commands a user types."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.fakes.site import local_service
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
        assert set(described["evaluation"]["rows"]) == {"generated", "real"}
        body = {"class_label": "odd digits", "seed": 3}
        picture = service.generate(body, accept="image/png")
        assert picture.headers["x-class-label"] == "odd%20digits"
        pixels = np.asarray(Image.open(io.BytesIO(picture.content)))
        assert pixels.shape == (*SIZE, 3)
        array = np.load(io.BytesIO(service.generate(body | {"n": 5}, accept="application/x-npy").content))
        assert array.shape == (5, *SIZE, 3)
        assert np.array_equal(array[0], pixels)
        grid = service.generate({"class_label": "balanced", "n": 6, "layout": "grid"}, accept="image/png")
        assert Image.open(io.BytesIO(grid.content)).mode == "RGB"
