"""Every source of data becomes one array with labels, names and a split that never changes."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.config import FolderOptions
from training.data import load_dataset
from training.data.dataset import split
from training.errors import DataError


def _paint(
    path: Path, size: tuple[int, int] = (12, 8), colour: object = (200, 30, 60), mode: str = "RGB"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of six pictures, 12 pixels wide and 8 high."""
    root = tmp_path / "photos"
    for number in range(6):
        _paint(root / "cats" / f"{number}.png", colour=(number * 40, 0, 0))
        _paint(root / "dogs" / "deeper" / f"{number}.jpg", colour=(0, number * 40, 0))
    return root


def test_mnist5k_is_five_thousand_real_digits_with_a_hundred_a_class_held_out(cache: Path) -> None:
    dataset = load_dataset("mnist5k", cache)
    assert dataset.samples.shape == (5000, 28, 28, 1)
    assert dataset.samples.dtype == np.uint8
    assert dataset.class_names is not None
    assert dataset.class_names[7] == "seven"
    assert np.bincount(dataset.part(held_out=True).labels).tolist() == [100] * 10
    assert np.bincount(dataset.part(held_out=False).labels).tolist() == [400] * 10


def test_the_split_of_mnist5k_is_frozen(cache: Path) -> None:
    """Figures of different versions compare only while the same images are held out."""
    assert load_dataset("mnist5k", cache).digest.startswith("sha256:8bb8c2dc7c7b3")


@pytest.mark.parametrize(
    ("name", "digest"), [("digits", "18ed70c309e97f36"), ("gaussian", "2c4954ca2025c46f")]
)
def test_the_digests_of_embedded_sets_are_frozen(cache: Path, name: str, digest: str) -> None:
    """Runs that were trained on them can be resumed, evaluated and exported by them alone."""
    assert load_dataset(name, cache).digest.startswith(f"sha256:{digest}")


def test_options_of_earlier_runs_still_say_what_they_said() -> None:
    kept = {"size": [16, 24], "channels": 3, "skip_bad": True}
    assert FolderOptions.model_validate(kept) == FolderOptions(size=(16, 24), channels=3, skip_bad=True)


def test_digits_span_the_whole_byte(cache: Path) -> None:
    dataset = load_dataset("digits", cache)
    assert dataset.samples.shape == (1797, 8, 8, 1)
    assert (dataset.samples.min(), dataset.samples.max()) == (0, 255)
    assert dataset.classes == 10


def test_both_parts_of_the_gaussian_have_its_law(cache: Path) -> None:
    dataset = load_dataset("gaussian", cache)
    for held_out in (False, True):
        values = dataset.part(held_out=held_out).samples
        assert values.mean() == pytest.approx(4.0, abs=0.05)
        assert values.std() == pytest.approx(1.25, abs=0.03)


def test_a_second_load_comes_from_the_cache_unchanged(cache: Path) -> None:
    first, second = load_dataset("digits", cache), load_dataset("digits", cache)
    assert first.digest == second.digest
    assert isinstance(second.samples, np.memmap)


def test_subfolders_are_classes_by_name(photos: Path, cache: Path) -> None:
    dataset = load_dataset(str(photos), cache)
    assert dataset.class_names == ("cats", "dogs")
    assert np.bincount(dataset.labels).tolist() == [6, 6]
    assert dataset.samples.shape == (12, 8, 12, 3)
    assert dataset.samples[5, 0, 0].tolist() == [200, 0, 0]


def test_names_have_one_spelling_on_every_machine(tmp_path: Path, cache: Path) -> None:
    """Some file systems take accents apart; the classes, their order and the digest must not follow."""
    for root, form in (("a", "NFC"), ("b", "NFD")):
        for name in ("pâte", "pz"):
            for number in range(2):
                _paint(
                    tmp_path / root / unicodedata.normalize(form, name) / f"{number}.png",
                    colour=(len(name), 0, 0),
                )
    whole, apart = (load_dataset(str(tmp_path / root), cache) for root in ("a", "b"))
    assert whole.class_names == apart.class_names == ("pz", "p\u00e2te")
    assert whole.digest == apart.digest


def test_a_changed_folder_is_read_again(photos: Path, cache: Path) -> None:
    before = load_dataset(str(photos), cache)
    _paint(photos / "cats" / "new.png")
    assert len(load_dataset(str(photos), cache).samples) == len(before.samples) + 1


def test_loose_images_are_a_set_without_classes(tmp_path: Path, cache: Path) -> None:
    for number in range(3):
        _paint(tmp_path / "loose" / f"{number}.png")
    dataset = load_dataset(str(tmp_path / "loose"), cache)
    assert dataset.labels is None
    assert dataset.class_names is None


def test_mixed_sizes_are_cropped_about_the_centre_and_resized(photos: Path, cache: Path) -> None:
    _paint(photos / "cats" / "large.png", size=(300, 100))
    assert load_dataset(str(photos), cache).samples.shape[1:] == (64, 64, 3)
    options = FolderOptions(size=(16, 24), channels=1)
    assert load_dataset(str(photos), cache, options).samples.shape[1:] == (16, 24, 1)


def test_resizing_is_antialiased(tmp_path: Path, cache: Path) -> None:
    """Fine stripes become grey; taking every n-th pixel would make them black or white."""
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255
    (tmp_path / "s").mkdir()
    for number in range(2):
        Image.fromarray(stripes).save(tmp_path / "s" / f"{number}.png")
    dataset = load_dataset(str(tmp_path / "s"), cache, FolderOptions(size=(16, 16)))
    assert np.abs(dataset.samples.astype(int) - 127).max() < 20


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, [77]),
        ("1", 1, [255]),
        ("I;16", 257 * 100, [100]),
        ("I;16", 200, [1]),
        ("P", 0, [0, 0, 0]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (10, 20, 30, 0), [255, 255, 255]),
    ],
)
def test_modes_of_files(tmp_path: Path, cache: Path, mode: str, colour: object, expected: list[int]) -> None:
    for number in range(2):
        _paint(tmp_path / "set" / f"{number}.png", mode=mode, colour=colour)
    assert load_dataset(str(tmp_path / "set"), cache).samples[0, 0, 0].tolist() == expected


def test_pictures_are_turned_upright(tmp_path: Path, cache: Path) -> None:
    image = Image.new("RGB", (20, 10), "black")
    image.paste((255, 255, 255), (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise
    (tmp_path / "set").mkdir()
    for number in range(2):
        image.save(tmp_path / "set" / f"{number}.png", exif=exif)
    samples = load_dataset(str(tmp_path / "set"), cache).samples
    assert samples.shape[1:] == (20, 10, 3)
    assert samples[0, 2, 5, 0] == 255
    assert samples[0, 17, 5, 0] == 0


def test_an_unreadable_file_is_named_and_skipped_only_on_request(photos: Path, cache: Path) -> None:
    (photos / "cats" / "torn.png").write_bytes((photos / "cats" / "1.png").read_bytes()[:40])
    (photos / "dogs" / "empty.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"(torn|empty)\.png.*--skip-bad"):
        load_dataset(str(photos), cache)
    assert len(load_dataset(str(photos), cache, FolderOptions(skip_bad=True)).samples) == 12


def test_the_classic_mistakes_are_explained(tmp_path: Path, photos: Path, cache: Path) -> None:
    _paint(tmp_path / "one" / "train" / "a.png")
    (tmp_path / "hollow" / "a").mkdir(parents=True)
    _paint(tmp_path / "hollow" / "b" / "x.png")
    (tmp_path / "empty").mkdir()
    for source, message in [
        ("one", "single class folder, 'train'"),
        ("hollow", "'a' holds no file"),
        ("empty", "holds no readable image"),
        ("missing", "neither an embedded set"),
    ]:
        with pytest.raises(DataError, match=message):
            load_dataset(str(tmp_path / source), cache)


def test_a_split_holds_out_a_fifth_of_every_class() -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 10, 2, 1])
    held_out = split(labels, len(labels), 0.2)
    assert [int(held_out[labels == label].sum()) for label in range(4)] == [20, 2, 1, 0]


def test_a_split_does_not_follow_the_order_of_the_files() -> None:
    held_out = split(None, 1000, 0.2)
    assert held_out.sum() == 200
    assert 60 < held_out[:500].sum() < 140


def test_floats_are_read_as_zero_to_one(tmp_path: Path, cache: Path) -> None:
    for number in range(2):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "set" / f"{number}.tiff")
    assert load_dataset(str(tmp_path / "set"), cache).samples[0, 0, 0].tolist() == [128]


def test_hidden_folders_are_not_read(photos: Path, cache: Path) -> None:
    _paint(photos / "cats" / ".thumbnails" / "0.png")
    assert len(load_dataset(str(photos), cache).samples) == 12


def test_a_change_behind_a_link_is_seen(photos: Path, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "linked").mkdir()
    for name in ("cats", "dogs"):
        (tmp_path / "linked" / name).symlink_to(photos / name)
    before = load_dataset(str(tmp_path / "linked"), cache)
    _paint(photos / "cats" / "new.png")
    after = load_dataset(str(tmp_path / "linked"), cache)
    assert len(after.samples) == len(before.samples) + 1


def test_two_folders_of_one_name_do_not_share_a_cache(photos: Path, tmp_path: Path, cache: Path) -> None:
    twin = tmp_path / "elsewhere" / "photos"
    shutil.copytree(photos, twin)
    for path in twin.rglob("*.png"):
        pixels = np.zeros((8, 12, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    assert load_dataset(str(photos), cache).digest != load_dataset(str(twin), cache).digest


def test_what_is_skipped_is_named_and_no_class_is_lost(
    photos: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "cats" / "notes.txt").write_text("no picture")
    load_dataset(str(photos), cache, FolderOptions(skip_bad=True))
    assert "notes.txt" in caplog.text
    (photos / "birds").mkdir()
    (photos / "birds" / "torn.png").write_bytes(b"x")
    with pytest.raises(DataError, match="'birds' holds no readable image"):
        load_dataset(str(photos), cache, FolderOptions(skip_bad=True))


def test_a_name_that_no_manifest_could_carry_is_refused_before_training(photos: Path, cache: Path) -> None:
    _paint(photos / ("x" * 220) / "0.png")
    with pytest.raises(DataError, match="cannot name a class"):
        load_dataset(str(photos), cache)
