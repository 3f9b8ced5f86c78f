"""Each sink loaded back with the library that its users use: every image, in its place, with its class."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from forger import Client, Drawn, recipe_in
from forger.bulk import job as job_module
from forger.bulk.sinks.folder import folder_name
from tests.sdk.places import sink_in

N = 75


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Segments of 64; and caches of the libraries are kept out of the tester's own."""
    monkeypatch.setattr(job_module, "_SEGMENT_IMAGES", 64)
    for name in ("HF_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def written(client: Client, tmp_path: Path) -> Any:
    """Return a function that draws into a sink, and gives what ``generate`` says that must be there."""

    def write(kind: str, model: str = "grey", label: Any = "balanced") -> Drawn:
        sink = sink_in(kind, tmp_path)
        assert client.bulk(N, sink=sink, seed=2, model=model, class_label=label).is_complete
        return client.generate(N, seed=2, model=model, class_label=label)

    return write


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def test_npz_is_what_tools_for_fid_read(written: Any, tmp_path: Path) -> None:
    """They take ``arr_0``, or the first array, as uint8 NHWC, and ``arr_1`` as labels."""
    expected = written("npz")
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays.files == ["arr_0", "arr_1"]
        assert arrays["arr_0"].dtype == np.uint8
        assert (arrays["arr_0"] == expected.array).all()
        assert (arrays["arr_1"] == expected.labels).all()


def test_npz_without_classes_has_no_labels(written: Any, tmp_path: Path) -> None:
    expected = written("npz", "colour", None)
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays.files == ["arr_0"]
        assert (arrays["arr_0"] == expected.array).all()


def test_mixtures_are_of_no_class(written: Any, tmp_path: Path) -> None:
    weights = {"three": 0.5, "eight": 0.5}
    expected = written("npz", label=weights)
    with np.load(tmp_path / "out.npz") as arrays:
        assert (arrays["arr_0"] == expected.array).all()
        assert (arrays["arr_1"] == -1).all()


def test_random_classes_are_told_image_by_image(written: Any, tmp_path: Path) -> None:
    expected = written("npz", label="random")
    assert len(set(expected.labels.tolist())) > 5
    with np.load(tmp_path / "out.npz") as arrays:
        assert (arrays["arr_1"] == expected.labels).all()


@pytest.mark.slow
def test_folder_is_loaded_by_datasets(written: Any, tmp_path: Path) -> None:
    import datasets

    expected = written("folder")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), split="train")
    assert len(loaded) == N
    for row in loaded:
        item = expected[row["index"]]
        assert (np.asarray(row["image"])[..., None] == item.array).all()
        assert (row["label"], row["class_index"]) == (item.label.name, item.label.index)


def test_folder_is_a_class_a_subfolder(written: Any, tmp_path: Path) -> None:
    """As torchvision's ImageFolder and Keras read it; and each file carries its recipe."""
    expected = written("folder")
    out = tmp_path / "out"
    found = {path.stem: path for path in out.glob("*/*.png")}
    assert len(found) == N
    for item in expected:
        path = found[f"{item.index:08d}"]
        assert path.parent.name == item.label.name
        assert recipe_in(path) == item.recipe
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == sorted(
        {item.label.name for item in expected}
    )


def test_folder_without_classes_has_one(written: Any, tmp_path: Path) -> None:
    expected = written("folder", "colour", None)
    for item in expected:
        assert (pixels((tmp_path / f"out/images/{item.index:08d}.png").read_bytes()) == item.array).all()


@pytest.mark.parametrize("name", ["a/b", "..", ".", ".hidden", "a\\b", "ü", "con:", "100 %", "%2E.", "x"])
def test_a_class_name_leads_out_of_no_folder(name: str) -> None:
    folder = folder_name(name)
    assert "/" not in folder
    assert "\\" not in folder
    assert not folder.startswith(".")
    names = ["a/b", "a%2Fb", "..", "%2E.", "a", "A b"]
    assert len({folder_name(one) for one in names}) == len(names)


@pytest.mark.slow
def test_parquet_is_loaded_by_datasets(written: Any, tmp_path: Path) -> None:
    import datasets

    expected = written("parquet")
    files = [str(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert len(files) == 2
    loaded = datasets.load_dataset("parquet", data_files=files, split="train")
    assert loaded.features["label"].names[:3] == ["zero", "one", "two"]
    assert len(loaded) == N
    for row, item in zip(loaded, expected, strict=True):
        assert (np.asarray(row["image"])[..., None] == item.array).all()
        assert (row["index"], row["label"]) == (item.index, item.label.index)


@pytest.mark.slow
def test_a_folder_of_parquet_files_is_a_data_set(written: Any, tmp_path: Path) -> None:
    """By its name alone, with the manifest beside it."""
    import datasets

    written("parquet", "colour", None)
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert (len(loaded), loaded.column_names) == (N, ["image", "index"])


def samples(shard: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Read a shard as WebDataset does: files that follow one another and share all before the first dot."""
    key, sample = None, dict[str, bytes]()
    with tarfile.open(shard) as tar:
        for member in tar:
            assert member.isreg()
            name, _, suffix = member.name.partition(".")
            if key is not None and name != key:
                yield key, sample
                sample = {}
            assert suffix not in sample
            content = tar.extractfile(member)
            assert content is not None
            key, sample[suffix] = name, content.read()
    if key is not None:
        yield key, sample


def test_shards_follow_webdatasets_conventions(written: Any, tmp_path: Path) -> None:
    expected = written("wds")
    shards = sorted((tmp_path / "out").glob("*.tar"))
    assert [shard.name for shard in shards] == ["000.tar", "001.tar"]
    read = [sample for shard in shards for sample in samples(shard)]
    assert [key for key, _ in read] == [f"{index:08d}" for index in range(N)]
    for (_, sample), item in zip(read, expected, strict=True):
        assert sample.keys() == {"png", "json", "cls"}
        assert (pixels(sample["png"]) == item.array).all()
        assert int(sample["cls"]) == item.label.index
        told = json.loads(sample["json"])
        assert (told["index"], told["class_label"]["name"]) == (item.index, item.label.name)


_LOADS_SHARDS = """
import json, sys
import numpy, webdataset
loaded = webdataset.WebDataset(sys.argv[1:], shardshuffle=False).decode("pil").to_tuple("png", "cls")
print(json.dumps([(numpy.asarray(image.convert("L")).tolist(), label) for image, label in loaded]))
"""


@pytest.mark.slow
def test_shards_are_loaded_by_webdataset(written: Any, tmp_path: Path) -> None:
    """In a process of its own: the library leaves the files that it reads open."""
    expected = written("wds")
    shards = [str(path) for path in sorted((tmp_path / "out").glob("*.tar"))]
    command = [sys.executable, "-W", "ignore", "-c", _LOADS_SHARDS, *shards]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    for (image, label), item in zip(json.loads(told), expected, strict=True):
        assert (np.array(image)[..., None] == item.array).all()
        assert label == item.label.index


def stylegan(archive: zipfile.ZipFile) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Read images and labels as ``ImageFolderDataset`` of StyleGAN2-ADA and 3 does (training/dataset.py)."""
    names = sorted(name for name in archive.namelist() if Path(name).suffix.lower() == ".png")
    labels = json.loads(archive.read("dataset.json"))["labels"]
    if labels is not None:
        told = dict(labels)
        labels = np.array([told[name.replace("\\", "/")] for name in names])
    return [pixels(archive.read(name)) for name in names], labels


@pytest.mark.parametrize(
    ("model", "label", "has_labels"),
    [("grey", "balanced", True), ("colour", None, False), ("grey", {"one": 0.5, "two": 0.5}, False)],
)
def test_an_archive_is_what_stylegan_reads(
    model: str,
    label: Any,
    has_labels: Any,
    written: Any,
    tmp_path: Path,
) -> None:
    expected = written("zip", model, label)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        images, labels = stylegan(archive)
    assert (np.stack(images) == expected.array).all()
    assert (labels is not None) == has_labels
    if labels is not None:
        assert (labels == expected.labels).all()
        assert labels.dtype == np.int64
