"""Tables of images: metadata.csv, parquet and hub names, and the columns that are meant."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from training.config import FolderOptions
from training.data import Dataset, audit_dataset, load_dataset
from training.data.hub import HubSource, hub_source
from training.errors import DataError

COUNT = 12
PIXELS = np.random.default_rng(3).integers(0, 256, (COUNT, 8, 8)).astype(np.uint8)
NAMES = ("cat", "dog", "bird")
LABELS = [number % 3 for number in range(COUNT)]


@pytest.fixture(autouse=True)
def _library_of_our_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The library keeps what it makes in a folder of this test, and shows no bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("library"))
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def load(source: Path, cache: Path, **options: object) -> Dataset:
    return load_dataset(str(source), cache, FolderOptions(**options))


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def rows(**more: object) -> datasets.Dataset:
    """Return the pictures with a column of classes, as the library itself holds them."""
    columns = {"image": [Image.fromarray(pixels) for pixels in PIXELS], "label": LABELS, **more}
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=[*NAMES, "never"])}
    features |= {name: datasets.ClassLabel(names=["a", "b"]) for name in more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def pictures(folder: Path, table: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    (folder / "metadata.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return folder


def lines(*, header: str = "file_name,label", last: str = "") -> str:
    body = [f"{number:02d}.png,{NAMES[label]}" for number, label in enumerate(LABELS)]
    return "\n".join([header, *body]) + "\n" + last


def test_a_table_names_files_and_classes(tmp_path: Path, cache: Path) -> None:
    dataset = load(pictures(tmp_path / "set", lines()), cache)
    assert dataset.class_names == ("bird", "cat", "dog")
    assert dataset.labels.tolist() == [1, 2, 0] * 4
    assert np.array_equal(dataset.samples[..., 0], PIXELS)


def test_spreadsheets_marks_and_line_ends_do_not_matter(tmp_path: Path, cache: Path) -> None:
    """A byte order mark, returns, quotes and folders below: the same classes."""
    plain = load(pictures(tmp_path / "plain", lines()), cache)
    (tmp_path / "sheet" / "deep").mkdir(parents=True)
    text = "\ufeff" + lines().replace("\n", "\r\n").replace("00.png", '"deep/00.png"')
    folder = pictures(tmp_path / "sheet", text.encode())
    (folder / "00.png").rename(folder / "deep" / "00.png")
    assert load(folder, cache).class_names == plain.class_names


def test_another_column_may_hold_the_classes(tmp_path: Path, cache: Path) -> None:
    folder = pictures(tmp_path / "set", lines(header="picture,kind"))
    assert load(folder, cache, image_column="picture", label_column="kind").classes == 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (lines(header="file_name,kind"), "no column 'label', only: file_name, kind; name the column"),
        (
            lines(header="file,label"),
            "no column 'file_name', only: file, label; --image-column names another",
        ),
        (
            lines(last="12.png,cat\n13.png,dog\n"),
            r"names 2 files that do not exist: 12.png \(line 14\), 13.png",
        ),
        (lines(last="00.png,cat\n"), "names '00.png' twice, in lines 2 and 14"),
        (lines(last="../00.png,cat\n"), "'../00.png' is no path inside the folder"),
        (lines().replace("01.png,dog", "01.png,"), "metadata.csv line 3: there is no label"),
        (
            lines().replace("cat", "0.5").replace("dog", "1").replace("bird", "2"),
            "the label 0.5 is a fraction",
        ),
        (
            lines().replace("cat", "0.0").replace("dog", "1.0").replace("bird", "2.0"),
            "line 2: the label 0.0 is",
        ),
        (lines().replace(",", ";"), "commas are needed"),
        ("file_name,label\n", "names no image"),
        ("", "no column 'file_name'"),
        (lines().replace("cat", "x" * 201), "cannot name a class"),
        ("file_name,label\n00.png,r\xe9d\n".encode("latin-1"), "is not UTF-8 text"),
        (lines(last='12.png,"cat\n'), "is not comma-separated text"),
    ],
)
def test_mistakes_in_tables_are_explained(
    tmp_path: Path, cache: Path, table: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(pictures(tmp_path / "set", table), cache)


def test_what_a_table_leaves_out_is_noted(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set", lines())
    Image.new("L", (8, 8)).save(folder / "extra.png")
    report = audit_dataset(str(folder))
    assert report.images == COUNT
    assert any("does not name, so left aside: extra.png" in finding.message for finding in report.findings)


def test_parquet_brings_its_class_names(tmp_path: Path, cache: Path) -> None:
    """Only classes that occur are kept: one without images could not be trained."""
    rows().to_parquet(tmp_path / "pets.parquet")
    dataset = load(tmp_path / "pets.parquet", cache)
    assert (dataset.name, dataset.class_names, dataset.labels.tolist()) == ("pets", NAMES, LABELS)
    assert np.array_equal(dataset.samples[..., 0], PIXELS)
    notes = [finding.message for finding in audit_dataset(str(tmp_path / "pets.parquet")).findings]
    assert "classes without images, so left aside: never" in notes


def test_shards_of_the_training_part_are_joined(tmp_path: Path, cache: Path) -> None:
    for name, first, last in [("train-0", 0, 5), ("train-1", 5, COUNT), ("test-0", 0, 6)]:
        rows().select(range(first, last)).to_parquet(tmp_path / f"{name}.parquet")
    assert np.array_equal(load(tmp_path, cache).samples[..., 0], PIXELS)


def test_plain_columns_of_bytes_will_do(tmp_path: Path, cache: Path) -> None:
    """Tables written without the library say nothing of images."""
    for name, column in {
        "bytes": [png(pixels) for pixels in PIXELS],
        "struct": [{"bytes": png(pixels), "path": None} for pixels in PIXELS],
    }.items():
        table = pa.table({"image": column, "label": [NAMES[label] for label in LABELS]})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
        dataset = load(tmp_path / f"{name}.parquet", cache)
        assert dataset.class_names == ("bird", "cat", "dog")
        assert np.array_equal(dataset.samples[..., 0], PIXELS)


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, cache: Path) -> None:
    column = [png(pixels) for pixels in PIXELS]
    column[3] = column[3][:50]
    column[7] = None
    parquet.write_table(pa.table({"image": column}), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"row 3 of a\.parquet .*; row 7 of a\.parquet \(the row has no image\)"
    ):
        load(tmp_path / "a.parquet", cache)
    dataset = load(tmp_path / "a.parquet", cache, skip_bad=True)
    assert (len(dataset.samples), dataset.classes) == (COUNT - 2, None)
    assert "2 unreadable left out" in dataset.description


def test_which_column_is_meant_must_be_plain(tmp_path: Path, cache: Path) -> None:
    two = rows(kind=[0, 1] * 6).rename_column("label", "fine")
    two.to_parquet(tmp_path / "two.parquet")
    with pytest.raises(
        DataError, match=r"several columns of labels \(fine, kind\): name one with --label-column"
    ):
        load(tmp_path / "two.parquet", cache)
    assert load(tmp_path / "two.parquet", cache, label_column="kind").class_names == ("a", "b")
    with pytest.raises(DataError, match=r"'sort': two\.parquet has no such column, only image, fine, kind"):
        load(tmp_path / "two.parquet", cache, label_column="sort")
    parquet.write_table(pa.table({"pixels": [1, 2]}), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no column of images among pixels: name one with --image-column"):
        load(tmp_path / "none.parquet", cache)


def test_mistakes_in_parquet_files_are_explained(tmp_path: Path, cache: Path) -> None:
    image = [png(pixels) for pixels in PIXELS]
    for name, labels, message in [
        ("floats", [float(label) for label in LABELS], "holds fractions, but labels name classes"),
        ("gaps", [None, *LABELS[1:]], "row 0 of gaps.parquet: there is no label"),
    ]:
        parquet.write_table(pa.table({"image": image, "label": labels}), tmp_path / f"{name}.parquet")
        with pytest.raises(DataError, match=message):
            load(tmp_path / f"{name}.parquet", cache)
    parquet.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "empty.parquet")
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "gaps.parquet").read_bytes()[:100])
    for name in ("empty", "torn"):
        with pytest.raises(DataError, match=f"{name}.*(no rows|is it whole)"):
            load(tmp_path / f"{name}.parquet", cache)


def test_an_unlabelled_part_of_the_hub_is_recognised(tmp_path: Path, cache: Path) -> None:
    """Test parts of competitions hold -1 for every label."""
    hidden = rows().to_dict()["image"]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(NAMES))})
    table = datasets.Dataset.from_dict({"image": hidden, "label": [-1] * COUNT}, features=features)
    table.to_parquet(tmp_path / "hidden.parquet")
    with pytest.raises(DataError, match=r"12 of 12 rows of hidden\.parquet have no label"):
        load(tmp_path / "hidden.parquet", cache)


@pytest.mark.parametrize("form", ["parquet", "folder"])
def test_a_hub_name_is_loaded_by_the_library(tmp_path: Path, form: str) -> None:
    """The library takes a folder of this machine for a name, so all but the fetching is what users get."""
    root = tmp_path / "pets"
    if form == "parquet":
        root.mkdir()
        rows().to_parquet(root / "train-00000-of-00001.parquet")
    else:
        for number, (pixels, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
            (root / NAMES[label]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / NAMES[label] / f"{number:02d}.png")
    contents = HubSource(str(root), None, None, "train", FolderOptions()).contents()
    assert contents.class_names == (NAMES if form == "parquet" else tuple(sorted(NAMES)))
    for item in contents.items:
        with item.open() as image:
            assert image.size == (8, 8)
    with pytest.raises(DataError, match=r"cannot be loaded: .*nosuch"):
        HubSource(str(root), None, None, "nosuch", FolderOptions()).contents()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hub:ylecun/mnist", ("ylecun/mnist", None, None, "train")),
        ("hub:mnist:test", ("mnist", None, None, "test")),
        ("hub:a/b#small@v1.0:train+test", ("a/b", "small", "v1.0", "train+test")),
        ("hub:a/b:train[:10%]", ("a/b", None, None, "train[:10%]")),
    ],
)
def test_hub_names_say_configuration_revision_and_split(text: str, parts: tuple[str | None, ...]) -> None:
    source = hub_source(text, FolderOptions())
    assert (source.path, source.configuration, source.revision, source.split) == parts
    assert source.identity() == list(parts)


@pytest.mark.parametrize("text", ["hub:", "hub:/a", "hub:../secret", "hub:a/b/c", "hub:a b", "hub:a/b:"])
def test_other_names_are_refused(text: str, cache: Path) -> None:
    """Nothing that could be a path of this machine is handed to the library."""
    with pytest.raises(DataError, match="is no name on the hub"):
        load_dataset(text, cache)


def test_without_the_library_it_is_said_how_to_get_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows().to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "datasets", None)
    for source in (str(tmp_path / "a.parquet"), "hub:a/b"):
        with pytest.raises(DataError, match=r"datasets library, which is not installed: .*\.\[data\]"):
            load_dataset(source, cache)
