"""Whatever a file's mode, depth or frames, the same pixels come of the same picture."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.config import FolderOptions
from training.data import Dataset, load_dataset
from training.data.pixels import Header, Target, choose_target, fit, share_cropped
from training.errors import DataError


def _load(folder: Path, cache: Path, **options: object) -> Dataset:
    return load_dataset(str(folder), cache, FolderOptions(**options))


def _set_of(image: Image.Image, folder: Path, name: str, **saved: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(2):
        image.save(folder / f"{number}{name}", **saved)
    return folder


@pytest.mark.parametrize(
    ("mode", "colour", "ending", "expected"),
    [
        ("CMYK", (0, 255, 255, 0), ".tif", [255, 0, 0]),
        ("LA", (90, 255), ".png", [90]),
        ("LA", (90, 0), ".png", [255]),
        ("I", 257 * 40, ".tif", [40]),
        ("F", 0.25, ".tif", [64]),
        ("YCbCr", (128, 128, 128), ".tif", [128, 128, 128]),
        ("L", 5, ".bmp", [5]),
        ("L", 6, ".pgm", [6]),
        ("RGB", (1, 2, 3), ".webp", None),
    ],
)
def test_each_mode_becomes_grey_or_colour(
    tmp_path: Path, cache: Path, mode: str, colour: object, ending: str, expected: list[int] | None
) -> None:
    """Grey modes become one channel, all others three; CMYK is ink, transparency lies on white."""
    saved = {"lossless": True} if ending == ".webp" else {}
    folder = _set_of(Image.new(mode, (8, 8), colour), tmp_path / "set", ending, **saved)
    pixel = _load(folder, cache).samples[0, 4, 4].tolist()
    assert pixel == (expected or list(colour))


def test_cmyk_as_cameras_and_printers_save_it(tmp_path: Path, cache: Path) -> None:
    """JPEG files of four inks hold them inverted: red stays red."""
    folder = _set_of(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), tmp_path / "set", ".jpg", quality=95)
    red, green, blue = _load(folder, cache).samples[0, 8, 8].tolist()
    assert red > 240
    assert green < 15
    assert blue < 15


def test_a_palette_gives_its_colours(tmp_path: Path, cache: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert _load(_set_of(image, tmp_path / "set", ".png"), cache).samples[0, 0, 0].tolist() == [10, 200, 30]
    clear = _set_of(image, tmp_path / "clear", ".png", transparency=1)
    assert _load(clear, cache).samples[0, 0, 0].tolist() == [255, 255, 255]


def test_the_first_frame_stands_for_an_animation(tmp_path: Path, cache: Path) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (10, 200, 90)]
    for ending in (".gif", ".tif", ".webp"):
        folder = tmp_path / ending[1:]
        _set_of(frames[0], folder, ending, save_all=True, append_images=frames[1:])
        assert np.abs(_load(folder, cache).samples.astype(int) - 10).max() <= 3


def test_transparency_is_kept_only_where_it_is_asked_for(tmp_path: Path, cache: Path) -> None:
    folder = _set_of(Image.new("RGBA", (8, 8), (10, 20, 30, 128)), tmp_path / "set", ".png")
    assert _load(folder, cache).samples.shape[-1] == 3
    assert _load(folder, cache).samples[0, 0, 0].tolist() == [132, 137, 142]
    kept = _load(folder, cache, channels=4)
    assert kept.samples[0, 0, 0].tolist() == [10, 20, 30, 128]
    assert kept.output.channels == 4


def test_files_without_transparency_are_opaque_in_four_channels(tmp_path: Path, cache: Path) -> None:
    folder = _set_of(Image.new("L", (8, 8), 7), tmp_path / "set", ".png")
    assert _load(folder, cache, channels=4).samples[0, 0, 0].tolist() == [7, 7, 7, 255]


def test_what_cannot_be_seen_does_not_bleed_into_resized_edges() -> None:
    """The colour of clear pixels has no weight when an image with transparency is made smaller."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :33] = (200, 0, 0, 255)
    pixels[:, 33:] = (0, 255, 0, 0)
    small = fit(Image.fromarray(pixels), Target(8, 8, 4))
    assert small[..., 1].max() <= 1


def test_sixteen_bits_are_rounded_not_cut(tmp_path: Path, cache: Path) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    folder = _set_of(Image.fromarray(levels), tmp_path / "set", ".png")
    samples = _load(folder, cache, size=(256, 256)).samples[0, :, :, 0]
    assert np.array_equal(samples, np.rint(levels / 257.0).astype(np.uint8))


def _deep_png(kind: int, values: tuple[int, ...]) -> bytes:
    """Return a PNG of 8 x 8 pixels of 16 bits a channel, which Pillow cannot write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    row = b"\0" + struct.pack(f">{len(values)}H", *values) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * 8)), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (2, (257 * 100, 257 * 7, 65535), [100, 7, 255]),
        (4, (257 * 100, 65535), [100, 100, 100]),
        (6, (257 * 100, 257 * 7, 65535, 0), [255, 255, 255]),
    ],
)
def test_sixteen_bits_a_channel(
    tmp_path: Path, cache: Path, kind: int, values: tuple[int, ...], expected: list[int]
) -> None:
    """Colour, grey with transparency (which Pillow opens as colour), and colour with transparency."""
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.png").write_bytes(_deep_png(kind, values))
    assert _load(folder, cache).samples[0, 0, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path: Path, cache: Path, orientation: int) -> None:
    """Each of the eight ways to lie in a file shows the same picture: white in the corner at the top left."""
    upright = np.zeros((8, 16), np.uint8)
    upright[:4, :4] = 255
    lying = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    folder = _set_of(Image.fromarray(np.ascontiguousarray(lying)), tmp_path / "set", ".png", exif=exif)
    assert np.array_equal(_load(folder, cache).samples[0, :, :, 0], upright)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"GIF89a", "cannot be read as an image"),
        (b"no picture at all", "no known image format"),
    ],
)
def test_why_a_file_cannot_be_read_is_said(tmp_path: Path, cache: Path, content: bytes, reason: str) -> None:
    folder = _set_of(Image.new("L", (8, 8)), tmp_path / "set", ".png")
    (folder / "bad.gif").write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\.gif.*{reason}|{reason}.*bad"):
        _load(folder, cache)


def test_phones_own_format_is_named(tmp_path: Path, cache: Path) -> None:
    folder = _set_of(Image.new("L", (8, 8)), tmp_path / "set", ".png")
    (folder / "IMG_0001.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match="HEIC is not read: convert it to JPEG or PNG"):
        _load(folder, cache)


def test_floats_of_another_scale_are_refused(tmp_path: Path, cache: Path) -> None:
    folder = _set_of(Image.fromarray(np.full((8, 8), 200.0, np.float32)), tmp_path / "set", ".tif")
    with pytest.raises(DataError, match="floats run from 200 to 200, where 0 to 1 is meant"):
        _load(folder, cache)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_no_torn_file_ends_in_anything_but_a_sentence(tmp_path: Path, cache: Path, format_name: str) -> None:
    """A file cut anywhere is either read (its pixels are all there) or named; nothing else is raised."""
    folder = tmp_path / "set"
    folder.mkdir()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8))
    for number in range(2):
        picture.save(folder / f"whole{number}.png")
    picture.save(folder / "model", format_name)
    whole = (folder / "model").read_bytes()
    (folder / "model").unlink()
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        (folder / f"cut{cut}").write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"images cannot be read: .*cut0 \(the file is empty\).*--skip-bad"):
        _load(folder, cache)
    assert len(_load(folder, cache, skip_bad=True).samples) < 20


def test_the_target_is_what_the_images_agree_on() -> None:
    wide = [Header((96, 64), "L")]
    assert choose_target(wide, FolderOptions()) == Target(64, 96, 1)
    assert choose_target([*wide, Header((96, 65), "L")], FolderOptions()) == Target(64, 64, 1)
    assert choose_target([Header((129, 129), "L")], FolderOptions()) == Target(64, 64, 1)
    assert choose_target([*wide, Header((96, 64), "P")], FolderOptions()) == Target(64, 96, 3)
    assert choose_target(wide, FolderOptions(size=(5, 7), channels=4)) == Target(5, 7, 4)


def test_how_much_a_crop_takes_away() -> None:
    assert share_cropped((100, 100), Target(64, 64, 3)) == 0
    assert share_cropped((400, 100), Target(64, 64, 3)) == 0.75
    assert share_cropped((100, 400), Target(64, 64, 3)) == 0.75
    assert share_cropped((200, 100), Target(32, 64, 3)) == 0
