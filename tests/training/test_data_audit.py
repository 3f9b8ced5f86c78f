"""The audit says what is there and what is wrong before a minute is spent on training."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.manifest import read_manifest
from tests.fakes.site import local_service
from training.cli import main
from training.config import FolderOptions
from training.data import AuditReport, audit_dataset, load_dataset, render
from training.data.findings import Severity
from training.errors import DataError


def paint(path: Path, size: tuple[int, int] = (16, 16), mode: str = "RGB", seed: int | None = None) -> Path:
    """Write an image of noise, another for every path unless a seed is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.name.encode()) * 1000 + sum(path.parent.name.encode()) if seed is None else seed
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4)).astype(np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of a hundred images of noise: nothing to complain of."""
    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
        for number in range(100):
            noise = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(noise).save(root / name / f"{number:03d}.png")
    return root


def messages(report: AuditReport, severity: Severity) -> list[str]:
    return [finding.message for finding in report.findings if finding.severity is severity]


def test_a_sound_folder_has_nothing_but_a_note(photos: Path) -> None:
    report = audit_dataset(str(photos))
    assert report.is_sound
    assert report.images == 200
    assert report.shape == (16, 16, 3)
    assert report.sizes == (((16, 16), 200),)
    assert report.modes == (("RGB", 200),)
    assert report.classes == (("cats", 100), ("dogs", 100))
    assert report.held_out == 40
    assert [finding.message for finding in report.findings] == ["images are of 16 x 16, as they are"]


def test_the_text_is_what_a_user_reads(photos: Path) -> None:
    (photos / "cats" / "torn.png").write_bytes((photos / "cats" / "001.png").read_bytes()[:100])
    for number in range(3):
        paint(photos / "birds" / f"{number}.png", mode="L")
    paint(photos / "birds" / "wide.jpg", size=(300, 100))
    lines = render(audit_dataset(str(photos))).splitlines()
    assert lines[:6] == [
        "photos: a folder of class subfolders",
        "  images   204 readable, 1 not",
        "  sizes    16 x 16 (203), 300 x 100 (1) (width x height)",
        "  modes    RGB (201), L (3)",
        "  classes  3: birds (4), cats (100), dogs (100)",
        "  becomes  64 x 64 x 3, 41 of them held out",
    ]
    assert [line.partition(":")[0] for line in lines[6:]] == ["error"] + ["warning"] * 3 + ["note"] * 2
    assert "torn.png" in lines[6]
    assert "pass --skip-bad to leave them out" in lines[6]
    assert "fewer than 10 images in a class (birds 4)" in lines[7]
    assert "the crop takes up to 67% of an image" in lines[8]
    assert "smaller than 64 x 64, and enlarged: 203 images" in lines[9]
    assert "cropped about the centre and resized to 64 x 64 (Lanczos)" in lines[10]
    assert "2 different sizes" in lines[11]


def test_what_the_audit_foretells_is_what_training_gets(photos: Path, cache: Path) -> None:
    paint(photos / "cats" / "large.png", size=(40, 20))
    (photos / "dogs" / "empty.png").write_bytes(b"")
    options = FolderOptions(skip_bad=True, size=(20, 12))
    report = audit_dataset(str(photos), options)
    dataset = load_dataset(str(photos), cache, options)
    assert report.is_sound
    assert report.images == len(dataset.samples) == 201
    assert report.shape == dataset.output.shape == (20, 12, 3)
    assert report.held_out == dataset.held_out.sum()
    assert dict(report.classes) == dict(zip(dataset.class_names, np.bincount(dataset.labels), strict=True))
    assert [Path(title).name for title, _ in report.unreadable] == ["empty.png"]


def test_a_torn_file_has_no_say_in_the_size(photos: Path, cache: Path) -> None:
    """Its header can be read, and names another size than all whole files have."""
    torn = paint(photos / "cats" / "torn.jpg", size=(90, 90))
    torn.write_bytes(torn.read_bytes()[:2000])
    options = FolderOptions(skip_bad=True)
    dataset = load_dataset(str(photos), cache, options)
    assert dataset.output.shape == audit_dataset(str(photos), options).shape == (16, 16, 3)
    assert dataset.description == "200 images of 16 x 16, as they are. 1 unreadable left out."


def test_where_every_file_is_torn_nothing_is_left(tmp_path: Path, cache: Path) -> None:
    for number in range(3):
        torn = paint(tmp_path / "set" / f"{number}.jpg")
        torn.write_bytes(torn.read_bytes()[:-100])
    options = FolderOptions(skip_bad=True)
    with pytest.raises(DataError, match="there is no readable image"):
        load_dataset(str(tmp_path / "set"), cache, options)
    assert "there is no readable image file" in messages(
        audit_dataset(str(tmp_path / "set"), options), Severity.ERROR
    )


def test_the_same_picture_twice_is_found_whatever_its_file(photos: Path) -> None:
    """Pixels are compared, not bytes; a picture in two classes is told apart."""
    with Image.open(photos / "cats" / "000.png") as image:
        image.save(photos / "cats" / "again.bmp")
    shutil.copy(photos / "cats" / "001.png", photos / "dogs" / "stray.png")
    report = audit_dataset(str(photos))
    names = [[Path(title).name for title in group] for group in report.duplicates]
    assert names == [["000.png", "again.bmp"], ["001.png", "stray.png"]]
    twice, across = messages(report, Severity.WARNING)
    assert twice.startswith("2 duplicates (")
    assert across.startswith("in more than one class: 1 picture (")
    assert "stray.png" in across
    assert report.is_sound


def test_oddities_are_noted_with_what_will_be_done(photos: Path) -> None:
    paint(photos / "cats" / "clear.png", mode="RGBA")
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "cats" / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.full((16, 16), 900, np.uint16)).save(photos / "dogs" / "twelve-bits.png")
    (photos / "README.txt").write_text("ours")
    report = audit_dataset(str(photos))
    text = "\n".join(messages(report, Severity.NOTE))
    assert "transparent: 1 image, laid on white; --channels 4 keeps that" in text
    assert "animated: 1 image, of which the first frame is taken" in text
    assert "not in a class folder, so left aside: README.txt" in text
    assert "almost black: 1 image of 16 bits" in "\n".join(messages(report, Severity.WARNING))
    grey = audit_dataset(str(photos), FolderOptions(channels=1))
    assert "colours are turned to grey" in messages(grey, Severity.NOTE)


def test_classes_that_differ_in_capitals_only_are_noticed(photos: Path) -> None:
    (photos / "dogs").rename(photos / "Cats")
    assert messages(audit_dataset(str(photos)), Severity.WARNING) == [
        "classes differ in nothing but capital letters: Cats, cats"
    ]


def _one_class(root: Path) -> None:
    paint(root / "train" / "a.png")


def _one_level_too_high(root: Path) -> None:
    paint(root / "data" / "cats" / "a.png")
    paint(root / "data" / "dogs" / "a.png")


def _parts(root: Path) -> None:
    for part in ("train", "Test"):
        paint(root / part / "cats" / "a.png")


def _beside(root: Path) -> None:
    paint(root / "a.png")
    paint(root / "cats" / "a.png")


def _hidden(root: Path) -> None:
    paint(root / ".cats" / "a.png")
    paint(root / "__MACOSX" / "cats" / "a.png")


def _hollow(root: Path) -> None:
    paint(root / "cats" / "a.png")
    (root / "dogs").mkdir()


def _lonely(root: Path) -> None:
    paint(root / "a.png")


def _one_each(root: Path) -> None:
    for name in ("a", "b", "c"):
        paint(root / name / "0.png")


@pytest.mark.parametrize(
    ("lay", "message"),
    [
        (_one_class, r"single class folder, 'train': give that folder itself .* to train without classes"),
        (_one_level_too_high, r"single class folder, 'data'.*on the classes in it"),
        (_parts, r"Test, train are parts of a data set, not classes: give one of them"),
        (_beside, r"holds images beside class folders \(a\.png; cats\)"),
        (_hidden, r"is empty: it holds no readable image"),
        (_hollow, r"the class folder 'dogs' holds no file"),
        (_lonely, r"too few images to hold any out \(there is one image\)"),
        (_one_each, r"too few images to hold any out \(no class has two images\)"),
    ],
)
def test_wrong_layouts_end_both_the_audit_and_the_training(
    tmp_path: Path, cache: Path, lay: object, message: str
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    lay(root)
    with pytest.raises(DataError, match=message):
        load_dataset(str(root), cache)
    report = audit_dataset(str(root))
    assert not report.is_sound
    assert any(re.search(message, found) for found in messages(report, Severity.ERROR))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "--data is empty"),
        ("digit", "did you mean digits?"),
        ("phots", "did you mean .*photos?"),
        ("nowhere/photos", "there is no folder .*nowhere either"),
        ("someone/pets", "if it is a name on the hub, give hub:someone/pets"),
        ("set.zip", "an archive: unpack it and give the folder"),
        ("one.png", "one image makes no data set: give its folder"),
        ("table.csv", "only metadata.csv within a folder is read"),
        ("array.npy", "save it with np.savez"),
        (
            "train-labels-idx1-ubyte.gz",
            "holds labels: give the file of the images, train-images-idx1-ubyte.gz",
        ),
        ("notes.txt", "of no known kind"),
    ],
)
def test_what_is_no_data_is_told_from_what_is_near(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(photos.parent)
    if "." in name:
        Path(name).write_bytes(b"x")
    (photos.parent / "someone").mkdir()
    with pytest.raises(DataError, match=message):
        load_dataset(name, cache)
    with pytest.raises(DataError, match=message):
        audit_dataset(name)


def test_embedded_sets_are_audited_too() -> None:
    assert "  classes  10: zero (178), one (182)" in render(audit_dataset("digits"))
    assert "  becomes  1, 10,000 of them held out" in render(audit_dataset("gaussian"))


def test_a_dry_run_prints_the_audit_and_leaves_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", "--data", "photos", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("photos: a folder of class subfolders\n  images   200\n")
    (photos / "cats" / "000.png").write_bytes(b"")
    assert main(["train", "--data", "photos", "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert "error: 1 unreadable" in printed.out
    assert printed.err == "error: photos is not fit to train on, for the reasons above\n"
    assert main(["train", "--data", "photos", "--dry-run", "--skip-bad"]) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_from_an_archive_of_arrays_to_a_served_model(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of the classes travel all the way to the API; the run bears the archive's name."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8)).astype(np.uint8)
    np.savez("spots.npz", images=images, labels=np.arange(90) % 3, class_names=["rot", "grün", "blau"])
    small = ["networks.generator_channels=4", "networks.discriminator_channels=4", "batch_size=16"]
    settings = [part for setting in small for part in ("--set", setting)]
    common = ["--cache", str(cache)]
    assert main(["train", "--data", "spots.npz", "--kimg", "0.05", *settings, *common]) == 0
    assert main(["export", "runs/spots-default-0", "--name", "spots", "--no-evaluation", *common]) == 0
    manifest, _ = read_manifest(Path("models/spots/1/manifest.json").read_bytes())
    assert manifest.training.dataset.description == "90 images of 8 x 8, as they are."
    with local_service(tmp_path / "models") as service:
        body = {"class_label": "grün", "seed": 1}
        response = service.post("/generate", body, accept="application/x-npy")
        assert response.status_code == 200
        assert np.load(io.BytesIO(response.content)).shape == (1, 8, 8, 1)
        classes = service.get("/models/spots").json()["classes"]
    assert [known["name"] for known in classes] == ["rot", "grün", "blau"]
