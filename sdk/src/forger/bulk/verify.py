"""Whether what a bulk run wrote is still what it wrote: counts, digests, and files that can be read."""

from __future__ import annotations

import hashlib
import io
import json
import math
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from forger.bulk.files import sha256_of
from forger.bulk.job import Job
from forger.bulk.sinks.folder import METADATA
from forger.bulk.sinks.sink import MANIFEST
from forger.errors import Misuse

_READ_AT_ONCE = 2**20


@dataclass(frozen=True)
class Verified:
    """What a look at a finished run found."""

    job: Job
    kind: str
    images: int
    """How many images are there and can be decoded."""
    faults: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether everything is as it was written."""
        return not self.faults


def verify(place: str | Path) -> Verified:
    """Look at what lies at a place: a folder, or the one file; raises ``Misuse`` if no finished run does."""
    path = Path(place)
    manifest = path / MANIFEST if path.is_dir() else path.with_name(f"{path.name}.{MANIFEST}")
    try:
        document = json.loads(manifest.read_text("utf-8"))
        job, kind, digests = Job.read(document["job"]), document["format"], document["files"]
        expected, look = job.n - len(document.get("missing", {})), _READERS[kind]
    except FileNotFoundError:
        raise Misuse(f"no finished run lies at {path}: there is no {manifest}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Misuse(f"{manifest} is not what a bulk run wrote") from error
    faults, images = [], 0
    for name, digest in digests.items():
        file = manifest.parent / name
        if not file.is_file():
            faults.append(f"{name} is missing")
            continue
        if sha256_of(file) != digest:
            faults.append(f"{name} has changed")
        try:
            for fault in look(file, job):
                images += fault is None
                faults += [] if fault is None else [fault]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
            faults.append(f"{name} cannot be read: {error}")
    faults += [f"{name} is not of this run" for name in _strays(path, kind, digests)]
    if images != expected:
        faults.append(f"{images} images are there and sound, {expected} were drawn")
    return Verified(job, kind, images, tuple(faults))


def _strays(path: Path, kind: str, digests: Mapping[str, str]) -> list[str]:
    """Return the files that a reader of the folder would take for the run's, and that are not."""
    known = set(digests)
    if kind == "folder" and (path / METADATA).is_file():
        lines = (path / METADATA).read_text("utf-8").splitlines()
        with suppress(ValueError, KeyError, TypeError):  # which is told already
            known = {json.loads(line)["file_name"] for line in lines}
    if kind not in _SUFFIXES:
        return []
    return sorted(
        name
        for file in path.rglob(f"*{_SUFFIXES[kind]}")
        if (name := file.relative_to(path).as_posix()) not in known
    )


_SUFFIXES = {"folder": ".png", "wds": ".tar", "parquet": ".parquet"}

Looks = Iterator[str | None]
"""What is wrong with each image in turn, None for nothing."""


def _look_at(name: str, png: bytes, job: Job) -> str | None:
    try:
        with Image.open(io.BytesIO(png)) as image:
            image.load()
            height, width = job.shape[:2]
            if image.size == (width, height):
                return None
            return f"{name} is {image.size[0]} × {image.size[1]} pixels"
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        return f"{name} cannot be decoded: {error}"


def _folder(metadata: Path, job: Job) -> Looks:
    for line in metadata.read_text("utf-8").splitlines():
        facts: Mapping[str, Any] = json.loads(line)
        name = facts["file_name"]
        try:
            content = (metadata.parent / name).read_bytes()
        except OSError:
            yield f"{name} is missing"
            continue
        is_same = hashlib.sha256(content).hexdigest() == facts["sha256"]
        yield _look_at(name, content, job) if is_same else f"{name} has changed"


def _npz(file: Path, job: Job) -> Looks:
    with zipfile.ZipFile(file) as archive:
        names = ["arr_0"] if job.classes is None else ["arr_0", "arr_1"]
        shapes = [_shape_of(archive, f"{name}.npy") for name in names]
    if shapes[0][1:] != job.shape:
        yield f"arr_0 holds images of the shape {list(shapes[0][1:])}"
    elif shapes[-1][0] != shapes[0][0]:
        yield f"arr_1 holds the classes of {shapes[-1][0]} images"
    else:
        yield from (None for _ in range(shapes[0][0]))


def _shape_of(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """Return the shape of an array that is all there, without holding it."""
    with archive.open(name) as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        size = 0
        while block := file.read(_READ_AT_ONCE):
            size += len(block)
    if size != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} holds {size} bytes, not an array of the shape {list(shape)}")
    return shape


def _wds(shard: Path, job: Job) -> Looks:
    with tarfile.open(shard) as tar:
        for member in tar:
            if member.name.endswith(".png"):
                content = tar.extractfile(member)
                assert content is not None, "images are plain files"
                yield _look_at(f"{shard.name}/{member.name}", content.read(), job)


def _zip(file: Path, job: Job) -> Looks:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                yield _look_at(name, archive.read(name), job)


def _parquet(shard: Path, job: Job) -> Looks:
    from pyarrow import parquet

    for row in parquet.read_table(shard, columns=["image"]).column("image"):
        image = row.as_py()
        yield _look_at(f"{shard.name}/{image['path']}", image["bytes"], job)


_READERS: dict[str, Callable[[Path, Job], Looks]] = {
    "folder": _folder,
    "npz": _npz,
    "wds": _wds,
    "zip": _zip,
    "parquet": _parquet,
}
