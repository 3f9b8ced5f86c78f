"""The same pictures, in whatever form they come, are the same data; each form's mistakes are explained."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.config import FolderOptions
from training.data import Dataset, load_dataset
from training.errors import DataError

COUNT = 24
PIXELS = np.random.default_rng(3).integers(0, 256, (COUNT, 8, 8)).astype(np.uint8)
LABELS = np.arange(COUNT) % 3


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """Return an IDX file's bytes."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, part: str = "train", *, packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for what, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS.astype(np.uint8))):
        content = idx(array)
        name = f"{part}-{what}-ubyte" + (".gz" if packed else "")
        (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return folder


def write_pictures(folder: Path, table: str | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    if table is not None:
        (folder / "metadata.csv").write_text(table, encoding="utf-8")
    return folder


def table_of(labels: list[object], header: str = "file_name,label") -> str:
    return "\n".join([header, *(f"{number:02d}.png,{label}" for number, label in enumerate(labels))]) + "\n"


def write_npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def load(source: Path, cache: Path, **options: object) -> Dataset:
    return load_dataset(str(source), cache, FolderOptions(**options))


def assert_same(dataset: Dataset, names: tuple[str, ...] | None = ("0", "1", "2")) -> None:
    assert np.array_equal(dataset.samples[..., 0], PIXELS)
    assert dataset.class_names == names
    if names is not None:
        assert dataset.labels.tolist() == LABELS.tolist()


def test_every_form_of_the_same_pictures_has_the_same_digest(tmp_path: Path, cache: Path) -> None:
    """The digest is of the pixels, the labels, the names and the split: not of the files they came in."""
    forms = [
        write_idx(tmp_path / "plain"),
        write_idx(tmp_path / "packed", packed=True),
        write_npz(tmp_path / "a.npz", images=PIXELS, labels=LABELS),
        write_npz(tmp_path / "b.npz", arr_0=PIXELS[..., None], arr_1=LABELS[:, None].astype(np.uint8)),
        write_pictures(tmp_path / "table", table_of(list(LABELS))),
    ]
    datasets = [load(form, cache) for form in forms]
    for dataset in datasets:
        assert_same(dataset)
    assert len({dataset.digest for dataset in datasets}) == 1


def test_the_order_of_lines_and_of_files_on_disk_changes_nothing(tmp_path: Path, cache: Path) -> None:
    header, *lines = table_of(list(LABELS)).splitlines()
    there = load(write_pictures(tmp_path / "a", "\n".join([header, *lines])), cache)
    back = load(write_pictures(tmp_path / "b", "\n".join([header, *reversed(lines)])), cache)
    assert there.digest == back.digest
    for root, order in (("c", range(COUNT)), ("d", reversed(range(COUNT)))):
        for number in order:
            (tmp_path / root / f"n{LABELS[number]}").mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "a" / f"{number:02d}.png", tmp_path / root / f"n{LABELS[number]}")
    assert load(tmp_path / "c", cache).digest == load(tmp_path / "d", cache).digest


@pytest.mark.parametrize("form", ["folder", "table", "npz", "idx"])
def test_a_second_load_decodes_nothing(tmp_path: Path, cache: Path, form: str) -> None:
    """Files spoilt behind the back of their size and time are not noticed: they are not opened."""
    if form == "npz":
        source = write_npz(tmp_path / "a.npz", images=PIXELS, labels=LABELS)
    elif form == "idx":
        source = write_idx(tmp_path / "idx")
    else:
        source = write_pictures(tmp_path / "set", table_of(list(LABELS)) if form == "table" else None)
    first = load(source, cache)
    for path in [source] if source.is_file() else source.iterdir():
        if path.suffix != ".csv":
            status = path.stat()
            path.write_bytes(b"x" * status.st_size)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = load(source, cache)
    assert isinstance(second.samples, np.memmap)
    assert (second.digest, second.class_names) == (first.digest, first.class_names)


def test_a_changed_file_is_read_again(tmp_path: Path, cache: Path) -> None:
    before = load(write_npz(tmp_path / "a.npz", images=PIXELS, labels=LABELS), cache)
    after = load(write_npz(tmp_path / "a.npz", images=PIXELS[:12], labels=LABELS[:12]), cache)
    assert (len(before.samples), len(after.samples)) == (24, 12)


def test_arrays_are_cropped_and_resized_like_files(tmp_path: Path, cache: Path) -> None:
    source = write_npz(tmp_path / "a.npz", images=np.repeat(PIXELS, 40, axis=2), labels=LABELS)
    assert load(source, cache).samples.shape == (COUNT, 64, 64, 1)
    assert load(source, cache, size=(4, 6), channels=3).samples.shape == (COUNT, 4, 6, 3)


def test_class_names_come_with_the_arrays(tmp_path: Path, cache: Path) -> None:
    names = np.array(["cat", "dog", "bird"])
    assert_same(
        load(write_npz(tmp_path / "a.npz", x=PIXELS, y=LABELS, class_names=names), cache), tuple(names)
    )
    texts = write_npz(tmp_path / "b.npz", x=PIXELS, y=np.array(["u", "v", "w"])[LABELS])
    assert_same(load(texts, cache), ("u", "v", "w"))
    folder = write_idx(tmp_path / "idx")
    (folder / "class_names.txt").write_text("cat\ndog\nbird\n")
    assert_same(load(folder, cache), ("cat", "dog", "bird"))


def test_whole_numbers_are_classes_in_the_order_of_numbers(tmp_path: Path, cache: Path) -> None:
    """10 comes after 9, and labels may begin anywhere."""
    source = write_npz(tmp_path / "a.npz", images=PIXELS, labels=LABELS + 9)
    assert_same(load(source, cache), ("9", "10", "11"))


def test_without_labels_there_are_no_classes(tmp_path: Path, cache: Path) -> None:
    (write_idx(tmp_path / "idx") / "train-labels-idx1-ubyte").unlink()
    header = "\n".join(["file_name", *(f"{number:02d}.png" for number in range(COUNT))])
    for source in (
        tmp_path / "idx",
        write_npz(tmp_path / "a.npz", images=PIXELS),
        write_pictures(tmp_path / "table", header),
    ):
        assert_same(load(source, cache), None)


def test_channels_first_are_moved_last(tmp_path: Path, cache: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 8, 8)).astype(np.uint8)
    dataset = load(write_npz(tmp_path / "a.npz", images=colours), cache)
    assert np.array_equal(dataset.samples, colours.transpose(0, 2, 3, 1))


def test_of_several_parts_the_training_part_is_taken(tmp_path: Path, cache: Path) -> None:
    folder = write_idx(tmp_path / "mnist")
    for what in ("images-idx3", "labels-idx1"):
        shutil.copy(folder / f"train-{what}-ubyte", folder / f"t10k-{what}-ubyte")
    assert load(folder, cache).name == "mnist"
    assert_same(load(folder / "t10k-images-idx3-ubyte", cache))
    write_idx(folder, "other-train")
    with pytest.raises(DataError, match="several sets of IDX images"):
        load(folder, cache)


def test_packed_files_are_known_by_their_content(tmp_path: Path, cache: Path) -> None:
    """Browsers unpack what they fetch and keep the name; dots for dashes are another habit."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / "train-images.idx3-ubyte.gz").write_bytes(idx(PIXELS))
    (folder / "train-labels.idx1-ubyte").write_bytes(gzip.compress(idx(LABELS.astype(np.uint8))))
    assert_same(load(folder, cache))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"\x89PNG....", None, "is no IDX file: it begins with 89 50 4e 47"),
        (b"", None, "it begins with nothing"),
        (idx(PIXELS)[:-5], None, "its header says 24 x 8 x 8 bytes, and 1,531 follow"),
        (idx(PIXELS) + b"x", None, "the wrong length"),
        (idx(PIXELS)[:9], None, "ends within its header"),
        (idx(PIXELS.astype(">f4"), 0x0D), None, "holds float32, where uint8 is needed"),
        (
            idx(LABELS.astype(np.uint8)),
            None,
            "has 1 dimensions, where 3 or 4 are needed: are images and labels",
        ),
        (idx(PIXELS[:0]), None, "holds no image"),
        (gzip.compress(idx(PIXELS))[:-30], None, "is torn: gzip says"),
        (idx(PIXELS), idx(LABELS[:9].astype(np.uint8)), "has 9 labels for 24 images"),
        (idx(PIXELS), idx(PIXELS), "has 3 dimensions, where 1 are needed"),
    ],
)
def test_mistakes_in_idx_files_are_explained(
    tmp_path: Path, cache: Path, images: bytes, labels: bytes | None, message: str
) -> None:
    folder = write_idx(tmp_path / "idx")
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    if labels is not None:
        (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(DataError, match=message):
        load(folder, cache)


FLOATS = PIXELS.astype(np.float32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": PIXELS}, "no array of images: it holds pictures, and one of images"),
        ({"labels": LABELS}, "no array of images: it holds labels"),
        ({"images": FLOATS / 255}, r"is float32, .*values run from 0 to 1; save \(x \* 255\)"),
        ({"images": FLOATS / 127.5 - 1}, r"run from -1 to 1; save \(\(x \+ 1\) \* 127.5\)"),
        ({"images": FLOATS}, r"the values fit; save x.round\(\)"),
        ({"images": PIXELS.astype(np.int64)}, "is int64, and images must be uint8, 0 to 255: the values fit"),
        ({"images": PIXELS.astype(np.uint16) * 257}, r"save \(x / 257\)"),
        ({"images": PIXELS > 9}, r"is bool.*save \(x \* 255\)"),
        ({"images": FLOATS * 9}, "only you know what black and white are"),
        ({"images": PIXELS.reshape(COUNT, 64)}, "reshape the rows to images first"),
        ({"images": PIXELS[:0]}, r"has the shape \(0, 8, 8\)"),
        ({"images": PIXELS.reshape(COUNT, 8, 4, 2)}, "1, 3 or 4 channels come last"),
        ({"images": PIXELS, "labels": LABELS[:5]}, r"has the shape \(5,\), but there are 24 images"),
        ({"images": PIXELS, "labels": LABELS.astype(float)}, "is float64, and labels name classes"),
        ({"images": PIXELS, "labels": np.eye(3)[LABELS]}, r"one-hot, save labels.argmax\(axis=1\)"),
        ({"images": PIXELS, "labels": np.zeros(COUNT, int)}, "there is a single class, '0'"),
        ({"images": PIXELS, "labels": np.arange(COUNT)}, "no class has two images"),
        ({"images": PIXELS[:1]}, "too few images to hold any out"),
        ({"images": PIXELS, "labels": LABELS, "class_names": np.array(["a", "b"])}, "names 2 classes"),
        ({"images": PIXELS, "labels": LABELS, "class_names": np.array(["a", "b", "a"])}, "the same name"),
        ({"images": PIXELS, "labels": LABELS, "class_names": np.arange(3)}, "must be a list of texts"),
    ],
)
def test_mistakes_in_archives_are_explained(
    tmp_path: Path, cache: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(write_npz(tmp_path / "a.npz", **arrays), cache)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("set-off",))


def test_pickles_are_refused_and_never_run(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.empty(1, dtype=object)
    objects[0] = _Bomb()
    with pytest.raises(DataError, match="pickled objects, which are not loaded"):
        load(write_npz(tmp_path / "a.npz", images=objects), cache)
    (tmp_path / "b.npz").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(DataError, match="pickled objects"):
        load(tmp_path / "b.npz", cache)
    assert not (tmp_path / "set-off").exists()


def test_torn_archives_are_explained(tmp_path: Path, cache: Path) -> None:
    whole = write_npz(tmp_path / "a.npz", images=PIXELS, labels=LABELS).read_bytes()
    for cut in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.npz").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"a\.npz"):
            load(tmp_path / "a.npz", cache)
    np.save(tmp_path / "one.npy", PIXELS)
    shutil.copy(tmp_path / "one.npy", tmp_path / "one.npz")
    with pytest.raises(DataError, match="one array, not an archive"):
        load(tmp_path / "one.npz", cache)
